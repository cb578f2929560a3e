//! Where a child's three standard streams go.

use std::{fmt, fs::File, os::fd::OwnedFd, sync::Arc};

use bytes::Bytes;

use super::SharedOutput;

/// What a child reads as its standard input.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// `/dev/null`: end of file at once.
    #[default]
    Null,
    /// The parent's own standard input.
    Inherit,
    /// A pipe that [`Child::stdin`](crate::Child::stdin) writes to.
    Piped,
    /// These bytes, then end of file. They are passed as an in-memory file, so that no size can
    /// block the spawn and no writer has to outlive it.
    Bytes(Bytes),
    /// A copy of this descriptor, which is open for reading: see [`Stdin::file`].
    File(Arc<OwnedFd>),
}

/// Shows how many bytes there are, never which.
impl fmt::Debug for Stdin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stdin::Null => out.write_str("Null"),
            Stdin::Inherit => out.write_str("Inherit"),
            Stdin::Piped => out.write_str("Piped"),
            Stdin::Bytes(bytes) => out.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Stdin::File(file) => out.debug_tuple("File").field(file).finish(),
        }
    }
}

impl Stdin {
    /// An open file, or anything else that a child can read: a socket, a terminal, the read end of
    /// a pipe. The child gets a copy of the descriptor, which closes with the last clone of this.
    ///
    /// Copies share one position: if two children get the same file, the second reads on where the
    /// first one stopped.
    ///
    /// ```
    /// use std::{fs::File, io::Write};
    ///
    /// use actix_process::{Command, Stdin};
    /// # use actix_process::Policy;
    ///
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("numbers");
    /// # File::create(&path)?.write_all(b"10\n9\n")?;
    /// let file = File::open(&path)?;
    /// let sort = policy.spawn(Command::new("sort").arg("-n").stdin(Stdin::file(file))).await?;
    /// assert_eq!(sort.output().await?.stdout, b"9\n10\n");
    /// # policy.shutdown(std::time::Duration::ZERO).await;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn file(file: impl Into<OwnedFd>) -> Self {
        Stdin::File(Arc::new(file.into()))
    }
}

impl From<Bytes> for Stdin {
    fn from(bytes: Bytes) -> Self {
        Stdin::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Stdin {
    fn from(bytes: Vec<u8>) -> Self {
        Stdin::Bytes(bytes.into())
    }
}

impl From<String> for Stdin {
    fn from(text: String) -> Self {
        Stdin::Bytes(text.into())
    }
}

impl From<&str> for Stdin {
    fn from(text: &str) -> Self {
        Stdin::from(text.to_owned())
    }
}

impl From<File> for Stdin {
    fn from(file: File) -> Self {
        Stdin::file(file)
    }
}

impl From<OwnedFd> for Stdin {
    fn from(file: OwnedFd) -> Self {
        Stdin::file(file)
    }
}

/// Where a child's standard output goes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum OutputTo {
    /// Through a pipe into the merged log.
    #[default]
    Log,
    /// The parent's own stream.
    Inherit,
    /// `/dev/null`.
    Null,
    /// Into the merged log through a pipe that other children write to, too.
    Shared(SharedOutput),
    /// To a copy of this descriptor, which is open for writing, and not into the log: see
    /// [`OutputTo::file`].
    File(Arc<OwnedFd>),
}

impl OutputTo {
    /// An open file, or anything else that a child can write to. The child gets a copy of the
    /// descriptor, which is closed with the last clone of this. The log gets nothing of it.
    pub fn file(file: impl Into<OwnedFd>) -> Self {
        OutputTo::File(Arc::new(file.into()))
    }
}

impl From<File> for OutputTo {
    fn from(file: File) -> Self {
        OutputTo::file(file)
    }
}

impl From<OwnedFd> for OutputTo {
    fn from(file: OwnedFd) -> Self {
        OutputTo::file(file)
    }
}

/// What a child's extra descriptor is.
#[derive(Clone, Debug)]
pub(crate) enum Extra {
    /// A copy of this descriptor.
    Given(Arc<OwnedFd>),
    /// A pipe into the merged log.
    Log,
}

/// Where a child's standard error goes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorTo {
    /// To a place of its own.
    To(OutputTo),
    /// To the same pipe as standard output, which keeps the order of the child's own writes to both
    /// (`2>&1`). The log has these bytes as standard output.
    WithStdout,
}

impl Default for ErrorTo {
    fn default() -> Self {
        ErrorTo::To(OutputTo::Log)
    }
}

impl<T: Into<OutputTo>> From<T> for ErrorTo {
    fn from(output: T) -> Self {
        ErrorTo::To(output.into())
    }
}
