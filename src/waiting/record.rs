//! The record of an exit, as it goes through a status pipe: fixed-size, written at once.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use crate::{ChildId, ExitStatus, ResourceUsage, child::ChildCell, read_loop::LoopLink};

/// What a waiter knows of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitRecord {
    pub(crate) child: ChildId,
    pub(crate) status: ExitStatus,
    pub(crate) usage: ResourceUsage,
    pub(crate) wall_time: Duration,
}

const FIELDS: usize = 7;

impl ExitRecord {
    /// Its length in bytes: far below `PIPE_BUF`, so that a write of it is atomic.
    pub(crate) const LEN: usize = FIELDS * 8;

    /// The record of a child whose status someone else has taken. Warns.
    pub(crate) fn lost(cell: &ChildCell, started: Instant) -> Self {
        tracing::warn!(
            child = %cell.id, pid = cell.pid, program = %cell.program,
            "the child ended and its status is lost: something else in this program waited for \
             it, or SIGCHLD is ignored",
        );
        ExitRecord {
            child: cell.id,
            status: ExitStatus::Lost,
            usage: ResourceUsage::default(),
            wall_time: started.elapsed(),
        }
    }

    /// Writes the record to its status pipe and tells the read loop.
    pub(crate) fn report(&self, status_pipe: &OwnedFd, link: &LoopLink) {
        // An empty pipe takes a record at once and whole. It fails only where the read loop has
        // given up, and then everybody has been told.
        if let Err(error) = nix::unistd::write(status_pipe, &self.encode()) {
            tracing::warn!(child = %self.child, %error, "nobody reads the exit record");
        }
        link.nudge(self.child);
    }

    fn encode(&self) -> [u8; Self::LEN] {
        let (kind, value) = match self.status {
            ExitStatus::Code(code) => (0, i64::from(code)),
            ExitStatus::Signaled { signal, core_dumped: false } => (1, i64::from(signal)),
            ExitStatus::Signaled { signal, core_dumped: true } => (2, i64::from(signal)),
            ExitStatus::Lost => (3, 0),
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let fields: [u64; FIELDS] = [
            self.child.0,
            kind,
            value.cast_unsigned(),
            micros(self.usage.user_time),
            micros(self.usage.system_time),
            self.usage.peak_memory_kib,
            micros(self.wall_time),
        ];
        let mut bytes = [0; Self::LEN];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// `None` where the bytes are no record.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let mut fields = bytes.chunks_exact(8).filter_map(|field| field.try_into().ok());
        let mut next = || fields.next().map(u64::from_le_bytes);
        let child = ChildId(next()?);
        let (kind, value) = (next()?, i32::try_from(next()?.cast_signed()).ok()?);
        let status = match kind {
            0 => ExitStatus::Code(value),
            1 | 2 => ExitStatus::Signaled { signal: value, core_dumped: kind == 2 },
            3 => ExitStatus::Lost,
            _ => return None,
        };
        let usage = ResourceUsage {
            user_time: Duration::from_micros(next()?),
            system_time: Duration::from_micros(next()?),
            peak_memory_kib: next()?,
        };
        let wall_time = Duration::from_micros(next()?);
        Some(ExitRecord { child, status, usage, wall_time })
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_survives_its_pipe(
            child: u64, kind in 0..4, value in 0..256, times: [u32; 3], peak_memory_kib: u64,
        ) {
            let status = match kind {
                0 => ExitStatus::Code(value),
                1 => ExitStatus::Signaled { signal: value, core_dumped: false },
                2 => ExitStatus::Signaled { signal: value, core_dumped: true },
                _ => ExitStatus::Lost,
            };
            let [user_time, system_time, wall_time] =
                times.map(|micros| Duration::from_micros(micros.into()));
            let usage = ResourceUsage { user_time, system_time, peak_memory_kib };
            let record = ExitRecord { child: ChildId(child), status, usage, wall_time };
            prop_assert_eq!(ExitRecord::decode(&record.encode()), Some(record));
        }

        #[test]
        fn what_is_no_record_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if bytes.len() != ExitRecord::LEN {
                prop_assert_eq!(ExitRecord::decode(&bytes), None);
            }
        }
    }
}
