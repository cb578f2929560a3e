//! `Image`: what a child is to be, in the form that needs no more work once the process exists.

use std::{env, ffi::OsString, path::PathBuf};

use super::search::candidates;
use crate::{Command, ProcessGroup, command::EnvChange};

/// A command, looked up and completed; its strings were checked for NUL bytes before.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) command: &'a Command,
    /// The whole environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) candidates: Vec<PathBuf>,
}

impl<'a> Image<'a> {
    pub(super) fn of(command: &'a Command) -> Self {
        let environment = environment(command);
        let candidates = candidates(command, &environment);
        Image { command, environment, candidates }
    }

    /// The process group to join, 0 for an own one.
    pub(super) fn group(&self) -> Option<i32> {
        match self.command.group {
            ProcessGroup::Inherit => None,
            ProcessGroup::Own => Some(0),
            ProcessGroup::Join(group) => Some(group),
        }
    }
}

/// The environment that the child gets: the parent's, changed.
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
