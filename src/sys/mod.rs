//! The system calls that the crate makes itself: thin, and safe from the outside.
//!
//! nix and rustix are used wherever they have the call; `unsafe` in this module is only for what
//! they lack. Linux-only calls are in files of their own: [`clone`], [`credentials`],
//! [`dispositions`], [`exec`], [`groups`], [`pidfd`], [`stdin_file`] and [`terminal`].

pub(crate) mod clone;
pub(crate) mod credentials;
mod dispositions;
pub(crate) mod exec;
pub(crate) mod groups;
pub(crate) mod limits;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod private_dir;
pub(crate) mod readiness;
pub(crate) mod runtime;
pub(crate) mod signal_handler;
pub(crate) mod signal_mask;
pub(crate) mod stdin_file;
pub(crate) mod terminal;
pub(crate) mod thread_id;
pub(crate) mod wait;
