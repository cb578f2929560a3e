//! All errors, and the parts of the library that they name.

#[cfg(feature = "codec")]
pub use crate::child::DecodeError;
#[cfg(feature = "regex")]
pub use crate::child::WaitForLineError;
pub use crate::{
    asyncio::{NoEventLoop, SignalHandlerError},
    child::OutputError,
    log::{recording::ReplayError, spill::SpillError},
    types::{
        Part, PolicyStopped, SignalError, SpawnError, SpawnStep, StartError, StdinError,
        TerminalError, WatchError,
    },
};
