//! The spawn of a pipeline: all of its children or none.
//!
//! No child is registered with the read loop and the watcher until all programs run. So if one
//! fails to start, the others are undone here, unseen by the log and the subscribers.

use super::{
    check::{check, invalid},
    launch::Launcher,
    messages::Link,
    pipes::InnerEnds,
    spawner::Spawner,
    unregistered::{Unregistered, failed, refused},
};
use crate::{Child, SpawnError, SpawnStep, sys};

impl Spawner {
    /// Spawns the children in their order.
    pub(super) fn spawn_pipeline(
        &self,
        launcher: &mut Launcher,
        links: Vec<Link>,
    ) -> Result<Vec<Child>, SpawnError> {
        for Link { command, .. } in &links {
            let checked = check(command).and_then(|()| match command.terminal {
                None => Ok(()),
                Some(_) => Err(invalid("a child on a terminal cannot be in a pipeline")),
            });
            checked.map_err(|error| failed(command, SpawnStep::CheckCommand, error))?;
        }
        let children = self.start_children(launcher, &links)?;
        self.register(&links, children, None).ok_or_else(|| refused(&links[0].command))
    }

    fn start_children(
        &self,
        launcher: &mut Launcher,
        links: &[Link],
    ) -> Result<Vec<Unregistered>, SpawnError> {
        let mut children = Vec::with_capacity(links.len());
        let mut from_before = None;
        for (place, Link { command, .. }) in links.iter().enumerate() {
            let is_last = place + 1 == links.len();
            let pipe = if is_last { Ok(None) } else { sys::pipe::pair().map(Some) };
            let started = pipe
                .map_err(|error| failed(command, SpawnStep::ReserveDescriptors, error))
                .and_then(|pipe| {
                    let (reader, stdout) = pipe.unzip();
                    // Both ends are closed here once the child runs. Otherwise the later child
                    // never sees its input end, and the earlier one never that its reader is gone.
                    let inner = InnerEnds { stdin: from_before.take(), stdout };
                    from_before = reader;
                    self.start_child(launcher, command, inner)
                });
            match started {
                Ok(child) => children.push(child),
                Err(error) => {
                    // Kill all before their drops wait for each one, so that they end together.
                    children.iter().for_each(Unregistered::kill);
                    return Err(error);
                }
            }
        }
        Ok(children)
    }
}
