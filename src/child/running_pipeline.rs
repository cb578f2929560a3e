//! `RunningPipeline`: the children of one pipeline.

use super::{Child, Spawned};
use crate::{ChildExited, PolicyStopped};

/// The children of a pipeline. Each one is a child like any other.
///
/// Clone it as you like. Dropping it does not affect the children.
#[derive(Clone, Debug)]
pub struct RunningPipeline {
    /// Never empty.
    children: Vec<Child>,
}

impl Spawned for RunningPipeline {
    fn undo(&self) {
        self.children.iter().for_each(Spawned::undo);
    }
}

impl RunningPipeline {
    pub(crate) fn new(children: Vec<Child>) -> Self {
        RunningPipeline { children }
    }

    /// The children, in the order of their commands.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The last child, whose standard output goes where its command says.
    #[must_use]
    pub fn last(&self) -> &Child {
        &self.children[self.children.len() - 1]
    }

    /// Waits until all children have ended, and returns their exits in the order of the commands.
    /// As sticky and cancel-safe as [`Child::wait`].
    ///
    /// A shell's status is the last child's, or with `pipefail` that of the last one that failed:
    ///
    /// ```
    /// # use actix_process::{Command, Policy};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let pipeline = Command::shell("echo x; exit 3").pipe_to(Command::new("cat"));
    /// let exits = policy.spawn_pipeline(pipeline).await?.wait().await?;
    /// let failed = exits.iter().rfind(|exit| !exit.status.success());
    /// assert_eq!(failed.map(|exit| exit.status.shell_code()), Some(3));
    /// assert_eq!(exits.last().map(|exit| exit.status.shell_code()), Some(0));
    /// # policy.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`PolicyStopped`] if the policy stopped before it learned every status. [`Child::try_wait`]
    /// still returns the known ones.
    pub async fn wait(&self) -> Result<Vec<ChildExited>, PolicyStopped> {
        let mut exits = Vec::with_capacity(self.children.len());
        for child in &self.children {
            exits.push(child.wait().await?);
        }
        Ok(exits)
    }
}
