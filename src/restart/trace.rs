//! Events and spans for the host's `tracing` subscriber. Its layers are foreign code: a panic of
//! theirs ends nothing of the library's.

use tracing::Span;

use super::contain::contain_silently;

/// Emits an event, as `tracing`'s macro of that name.
macro_rules! event {
    ($level:ident, $($event:tt)*) => {
        $crate::restart::contain_silently(|| tracing::$level!($($event)*)).unwrap_or_default()
    };
}
macro_rules! error_event { ($($event:tt)*) => { $crate::restart::trace::event!(error, $($event)*) } }
macro_rules! warn_event { ($($event:tt)*) => { $crate::restart::trace::event!(warn, $($event)*) } }
macro_rules! info_event { ($($event:tt)*) => { $crate::restart::trace::event!(info, $($event)*) } }
macro_rules! debug_event { ($($event:tt)*) => { $crate::restart::trace::event!(debug, $($event)*) } }

pub(crate) use debug_event as debug;
pub(crate) use error_event as error;
pub(crate) use event;
pub(crate) use info_event as info;
pub(crate) use warn_event as warn;

/// A child's span, from its spawn to its close. Boxed, since it is large; `None` if no subscriber
/// wants it.
#[derive(Debug)]
pub(crate) struct ChildSpan(Option<Box<Span>>);

impl ChildSpan {
    /// Makes the span, if a subscriber wants it.
    pub(crate) fn new(make: impl FnOnce() -> Span) -> Self {
        let span = contain_silently(make).filter(|span| !span.is_disabled());
        ChildSpan(span.map(Box::new))
    }

    /// No span.
    pub(crate) fn none() -> Self {
        ChildSpan(None)
    }

    /// Emits events inside the span.
    pub(crate) fn tell(&self, events: impl FnOnce()) {
        match &self.0 {
            Some(span) => contain_silently(|| span.in_scope(events)).unwrap_or_default(),
            None => events(),
        }
    }
}

impl Drop for ChildSpan {
    fn drop(&mut self) {
        // Closing a span calls the layers.
        if let Some(span) = self.0.take() {
            contain_silently(|| drop(span));
        }
    }
}
