//! Subscriptions to one child.

use std::sync::Arc;

use super::Child;
use crate::Subscribe;

impl Subscribe {
    /// Of this child only. Where it has ended already, a subscription to exits is served at once.
    pub fn of(mut self, child: &Child) -> Self {
        self.child = Some(Arc::clone(child.cell()));
        self
    }
}
