//! Sockets that tell who wrote: `SO_PASSCRED` and `SCM_CREDENTIALS`, which only Linux has.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
        UnixCredentials, recvmsg, setsockopt, shutdown, socketpair, sockopt,
    },
};

/// A socket that is only written to, and the one that receives from it `(receiver, writer)`; both
/// blocking and closed on exec. The kernel keeps with each write who made it, and never gives what
/// two writers wrote in one read.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (receiver, writer) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    setsockopt(&receiver, sockopt::PassCred, &true)?;
    // Whoever reads from its standard output finds it at its end.
    shutdown(writer.as_raw_fd(), Shutdown::Read)?;
    Ok((receiver, writer))
}

/// Receives what one process wrote, without waiting, and the process; `None` where that is in
/// another PID namespace. Nothing at all at the end.
pub(crate) fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
    // Room for the credentials and nothing else: descriptors that somebody sends along are closed
    // by the kernel.
    let mut control = cmsg_space!(UnixCredentials);
    let mut into = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut into, Some(&mut control), flags)?;
    // Truncated messages are an error to nix, and those are what somebody sent along.
    let writer = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(writer) => Some(writer.pid()),
            _ => None,
        })
    });
    Ok((message.bytes, writer.filter(|pid| *pid > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_received_with_its_writer() {
        let (receiver, writer) = pair().unwrap();
        nix::unistd::write(&writer, b"abc").unwrap();
        let mut bytes = [0; 8];
        let own = std::process::id().cast_signed();
        assert_eq!(receive(&receiver, &mut bytes), Ok((3, Some(own))));
        assert_eq!(receive(&receiver, &mut bytes), Err(Errno::EAGAIN));
        drop(writer);
        assert_eq!(receive(&receiver, &mut bytes).unwrap().0, 0);
    }
}
