//! Sockets that name the writing process: `SO_PASSCRED` and `SCM_CREDENTIALS`, Linux only.

use std::{
    io::{self, IoSliceMut},
    mem::offset_of,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixCredentials, recvmsg,
        setsockopt, shutdown, socketpair, sockopt,
    },
};

use crate::restart::trace;

/// A socket that receives, and one that is only written to: `(receiver, writer)`. Both are blocking
/// and closed on exec. The kernel keeps the writing process with each write, and never returns the
/// bytes of two writers in one read.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (receiver, writer) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    setsockopt(&receiver, sockopt::PassCred, &true)?;
    // An urgent byte stays in its place among the others.
    setsockopt(&receiver, sockopt::OobInline, &true)?;
    // Closing a descriptor that is sent along can take long (a socket that lingers), and the
    // receiver must close it. From Linux 6.16 on the kernel refuses the sender instead.
    if let Err(error) = refuse_descriptors(&receiver) {
        trace::debug!(%error, "descriptors that children send along are received and closed");
    }
    // A process that reads from its standard output finds it at its end.
    shutdown(writer.as_raw_fd(), Shutdown::Read)?;
    Ok((receiver, writer))
}

/// The kernel's number; neither nix nor libc has it yet.
const SO_PASSRIGHTS: i32 = 83;

/// Makes the kernel refuse descriptors that are sent along, from Linux 6.16 on.
fn refuse_descriptors(receiver: &OwnedFd) -> nix::Result<i32> {
    let no = 0_i32;
    let (value, len) = ((&raw const no).cast(), size_of::<i32>() as u32);
    // SAFETY: the descriptor is open, and the kernel reads `len` bytes from `value`.
    Errno::result(unsafe {
        libc::setsockopt(receiver.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, value, len)
    })
}

/// Receives what one process wrote, without waiting, and the process; `None` if the process is in
/// another PID namespace. Returns 0 bytes at the end.
pub(crate) fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
    // Room for the credentials only: the kernel closes descriptors that are sent along.
    let mut control = cmsg_space!(UnixCredentials);
    let mut into = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let descriptor = socket.as_fd().as_raw_fd();
    let len = recvmsg::<()>(descriptor, &mut into, Some(&mut control), flags)?.bytes;
    Ok((len, writer(&control)))
}

/// The process that the control data name. Parsed by hand: if something was sent along, the data
/// are cut short, and nix returns nothing of them.
fn writer(control: &[u8]) -> Option<i32> {
    let number = |place: usize| {
        let bytes = control.get(place..place + size_of::<i32>())?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let level = number(offset_of!(libc::cmsghdr, cmsg_level))?;
    let kind = number(offset_of!(libc::cmsghdr, cmsg_type))?;
    if (level, kind) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
        return None;
    }
    number(size_of::<libc::cmsghdr>() + offset_of!(libc::ucred, pid)).filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come with a descriptor have their writer, or are refused if the kernel can.
    #[test]
    fn descriptors_that_are_sent_along_are_not_received() {
        use nix::sys::socket::{ControlMessage, sendmsg};
        let (receiver, writer) = pair().unwrap();
        let rights = [writer.as_raw_fd()];
        let sent = sendmsg::<()>(
            writer.as_raw_fd(),
            &[io::IoSlice::new(b"abc")],
            &[ControlMessage::ScmRights(&rights)],
            MsgFlags::empty(),
            None,
        );
        let mut bytes = [0; 8];
        let own = std::process::id().cast_signed();
        let expected = sent.map_or(Err(Errno::EAGAIN), |len| Ok((len, Some(own))));
        assert_eq!(receive(&receiver, &mut bytes), expected);
    }

    #[test]
    fn a_write_is_received_with_its_writer() {
        let (receiver, writer) = pair().unwrap();
        nix::unistd::write(&writer, b"abc").unwrap();
        let mut bytes = [0; 8];
        let own = std::process::id().cast_signed();
        assert_eq!(receive(&receiver, &mut bytes), Ok((3, Some(own))));
        assert_eq!(receive(&receiver, &mut bytes), Err(Errno::EAGAIN));
        // An urgent byte has its place among the others.
        for (byte, flags) in [(b"x", MsgFlags::MSG_OOB), (b"y", MsgFlags::empty())] {
            nix::sys::socket::send(writer.as_raw_fd(), byte, flags).unwrap();
        }
        let mut taken = Vec::new();
        while let Ok((len, pid)) = receive(&receiver, &mut bytes) {
            assert_eq!(pid, Some(own));
            taken.extend_from_slice(&bytes[..len]);
        }
        assert_eq!(taken, b"xy");
        drop(writer);
        assert_eq!(receive(&receiver, &mut bytes).unwrap().0, 0);
    }
}
