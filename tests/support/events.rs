//! Keeps tracing events: their levels, and their fields as text.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{Event, Level, Metadata, Subscriber, field, span};

use super::lock;

/// An event's level, and each of its fields as `name=value`.
pub type Told = (Level, Vec<String>);

/// A subscriber that keeps the events that are wanted.
#[derive(Clone)]
pub struct Events {
    wanted: fn(&Metadata<'_>) -> bool,
    told: Arc<Mutex<Vec<Told>>>,
    /// What is done at each of them, before it is kept.
    at_each: fn(&Told),
}

impl Events {
    pub fn new(wanted: fn(&Metadata<'_>) -> bool) -> Self {
        Events { wanted, told: Arc::default(), at_each: |_| {} }
    }

    pub fn at_each(self, at_each: fn(&Told)) -> Self {
        Events { at_each, ..self }
    }

    /// What was told since the last call.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *lock(&self.told))
    }
}

struct Fields(Vec<String>);

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (self.wanted)(metadata)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Vec::new());
        event.record(&mut fields);
        let told = (*event.metadata().level(), fields.0);
        (self.at_each)(&told);
        lock(&self.told).push(told);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
