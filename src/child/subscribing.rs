//! Subscriptions to one child.

use std::sync::Arc;

use super::Child;
use crate::Subscribe;

impl Subscribe {
    /// Limits it to this child. If the child has already ended, its exit is sent at once.
    pub fn of(mut self, child: &Child) -> Self {
        self.child = Some(Arc::clone(child.cell()));
        self
    }
}
