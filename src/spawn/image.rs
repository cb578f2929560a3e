//! `Image`: a command prepared so far that the new process needs no more work.

use std::{env, ffi::OsString, path::PathBuf};

use super::search::candidates;
use crate::{Command, ProcessGroup, command::EnvChange};

/// A command, looked up and completed. Its strings are already checked for NUL bytes.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) command: &'a Command,
    /// The complete environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) candidates: Vec<PathBuf>,
}

impl<'a> Image<'a> {
    pub(super) fn of(command: &'a Command) -> Self {
        let environment = environment(command);
        let candidates = candidates(command, &environment);
        Image { command, environment, candidates }
    }

    /// The process group to join, 0 for its own.
    pub(super) fn group(&self) -> Option<i32> {
        match self.command.group {
            ProcessGroup::Inherit => None,
            ProcessGroup::Own => Some(0),
            ProcessGroup::Join(group) => Some(group),
        }
    }
}

/// The child's environment: the parent's, with the command's changes.
fn environment(command: &Command) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> =
        if command.env_clear { Vec::new() } else { env::vars_os().collect() };
    for change in &command.env {
        variables.retain(|(key, _)| key != change.key());
        if let EnvChange::Set(key, value) = change {
            variables.push((key.clone(), value.clone()));
        }
    }
    variables
}
