//! `Overflow` and `Quota`: what happens when the log, or one child's part of it, is full.

/// What happens when a lossless reader is a whole log behind, named by its cost. Also for one
/// child's share ([`Command::log_share`](crate::Command::log_share)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Reading pauses, and the children block as on a full pipe, until the reader has caught up.
    /// Without a lossless reader, the oldest entries are dropped.
    #[default]
    Block,
    /// The oldest entries are dropped, also those that a reader still wants; a counted
    /// [`Gap`](crate::log::Gap) takes their place. No child ever blocks.
    DropOldest,
    /// The oldest entries that a lossless reader still wants go to files in the directory given to
    /// [`PolicyBuilder::spill`](crate::PolicyBuilder::spill), and come back when they are read. If
    /// the files are full too, this is as [`Block`](Overflow::Block). A reader of the files holds
    /// as much of them in memory as a quarter of the log's bound, and at most 1 MiB.
    ///
    /// ```
    /// # use actix_process::{Overflow, Policy};
    /// # actix::System::new().block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// let policy = Policy::builder()
    ///     .overflow(Overflow::Spill)
    ///     .spill(directory.path(), 1024 * 1024 * 1024)
    ///     .start()?;
    /// # policy.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    Spill,
}

/// The part of the log that one child may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) bytes: u64,
    pub(crate) overflow: Overflow,
}
