//! `Sockets`: attributed contexts on the ring. A peek of one byte is the ring's, and waits; what is
//! there is then received directly, since only that tells who wrote it.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::{
    driver::{cancel, user_data},
    enter,
};
use crate::pipes::{Found, Observed, PipeKey, PipeToken, attributed::Receiver, driver::Slots};

/// Marks the tokens of sockets, in the driver's table and in its completions.
pub(super) const SOCKET: u32 = 1 << 31;

#[derive(Debug)]
struct Socket {
    key: PipeKey,
    socket: OwnedFd,
    /// Where the peek lands.
    peeked: Box<u8>,
    in_flight: bool,
    paused: bool,
    leaving: bool,
}

#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Slots<Socket>,
    /// Those that wait for their next peek.
    asking: VecDeque<PipeToken>,
    receiver: Receiver,
}

fn outer(token: PipeToken) -> PipeToken {
    PipeToken { slot: token.slot | SOCKET, ..token }
}

fn inner(token: PipeToken) -> PipeToken {
    PipeToken { slot: token.slot & !SOCKET, ..token }
}

pub(super) fn is_socket(token: PipeToken) -> bool {
    token.slot & SOCKET != 0
}

impl Sockets {
    pub(super) fn add(&mut self, key: PipeKey, socket: OwnedFd) -> PipeToken {
        let token = self.slots.insert(Socket {
            key,
            socket,
            peeked: Box::default(),
            in_flight: false,
            paused: false,
            leaving: false,
        });
        self.asking.push_back(token);
        outer(token)
    }

    pub(super) fn socket(&self, token: PipeToken) -> Option<BorrowedFd<'_>> {
        Some(self.slots.get(inner(token))?.socket.as_fd())
    }

    /// Closes it, now or when its peek has come back.
    pub(super) fn remove(&mut self, token: PipeToken, ring: &mut IoUring) -> io::Result<()> {
        let Some(socket) = self.slots.get_mut(inner(token)) else { return Ok(()) };
        if !socket.in_flight {
            self.slots.remove(inner(token));
            return Ok(());
        }
        socket.leaving = true;
        cancel(ring, user_data(token))
    }

    /// A peek takes nothing, so one in flight can stay.
    pub(super) fn pause(&mut self, token: PipeToken) {
        if let Some(socket) = self.slots.get_mut(inner(token)) {
            socket.paused = true;
        }
    }

    pub(super) fn resume(&mut self, token: PipeToken) {
        if let Some(socket) = self.slots.get_mut(inner(token))
            && std::mem::take(&mut socket.paused)
            && !socket.in_flight
        {
            self.asking.push_back(inner(token));
        }
    }

    /// Submits the peeks that are due, where there is room for what they find.
    pub(super) fn submit(&mut self, ring: &mut IoUring, room: u64) -> io::Result<()> {
        self.receiver.room = room;
        let due = if room == 0 { 0 } else { self.asking.len() };
        for _ in 0..due {
            let Some(token) = self.asking.pop_front() else { break };
            let Some(socket) = self.slots.get_mut(token) else { continue };
            if socket.in_flight || socket.paused {
                continue;
            }
            socket.in_flight = true;
            let fd = types::Fd(socket.socket.as_raw_fd());
            let peek = opcode::Recv::new(fd, &raw mut *socket.peeked, 1).flags(libc::MSG_PEEK);
            // SAFETY: the socket and the byte in its box stay in `slots` until the operation's
            // completion, and the driver drops its sockets after the ring.
            unsafe { enter::push(ring, &peek.build().user_data(user_data(outer(token))))? };
        }
        Ok(())
    }

    /// A peek has come back: receives what is there.
    pub(super) fn complete(&mut self, token: PipeToken, result: i32, found: &mut VecDeque<Found>) {
        let token = inner(token);
        let Some(socket) = self.slots.get_mut(token) else { return };
        socket.in_flight = false;
        if socket.leaving {
            self.slots.remove(token);
            return;
        }
        if socket.paused {
            return;
        }
        let again = [libc::EINTR, libc::EAGAIN, libc::ECANCELED].contains(&-result);
        let end = if result < 0 && !again {
            Some(Observed::Failed(Errno::from_raw(-result).into()))
        } else {
            self.receiver.receive(socket.key, &socket.socket, found)
        };
        match end {
            None => self.asking.push_back(token),
            Some(what) => {
                found.push_back(Found { key: socket.key, what });
                self.slots.remove(token);
            }
        }
    }
}
