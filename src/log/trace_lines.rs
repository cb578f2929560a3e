//! The log as `tracing` events, a line of output each.

use std::collections::HashMap;

use super::{Batch, ChildLine, ChildLines, Entry, Fact, LogReader};
use crate::{ChildExited, ChildId};

/// The target that separates these events from the library's own.
const TARGET: &str = "actix_process::output";

/// A child whose lines are reported.
#[derive(Default)]
struct Told {
    /// `None` if the spawn was before the reader's start or in a gap.
    pid: Option<i32>,
    lines: ChildLines,
}

impl LogReader {
    /// Reports the log as [`tracing`] events, all with the target `actix_process::output`, until
    /// the policy has stopped:
    ///
    /// | what | level | fields |
    /// |---|---|---|
    /// | a line of output | `INFO` | `child`, `pid` (if the reader saw the spawn and no gap since), `stream`, `line` (as lossy UTF-8) |
    /// | an exit | `INFO` | `child`, `pid`, `status` |
    /// | a gap | `WARN` | `bytes`, `chunks` |
    ///
    /// Lines of different children are never mixed. If the subscriber of the events is slow, the
    /// children block as with any reader, unless the reader is [`lossy`](LogReader::lossy).
    ///
    /// ```
    /// # use actix_process::{Command, Policy, Start};
    /// # actix::System::new().block_on(async {
    /// # let policy = Policy::start()?;
    /// let told = actix::spawn(policy.log(Start::Beginning).trace_lines());
    /// policy.spawn(Command::new("echo").arg("hello")).await?.wait().await?;
    /// policy.shutdown(std::time::Duration::from_secs(5)).await;
    /// told.await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn trace_lines(mut self) {
        let mut children = HashMap::new();
        while let Some(batch) = self.next().await {
            trace_batch(&mut children, &batch);
        }
        finish_all(&mut children, |_| true);
    }
}

fn trace_batch(children: &mut HashMap<ChildId, Told>, batch: &Batch) {
    if let Some(gap) = batch.gap() {
        // No line continues across a gap, and the end of a child may be in it.
        finish_all(children, |child| gap.concerns(child));
        tracing::warn!(target: TARGET, bytes = gap.bytes, chunks = gap.chunks, "output is gone");
    }
    for Entry { child, fact, .. } in batch.entries() {
        let Told { pid, lines } = children.entry(*child).or_default();
        if let Fact::Spawned { pid: known, .. } = fact {
            *pid = Some(*known);
        }
        lines.push(fact, |line| trace_line(*child, *pid, &line));
        match fact {
            Fact::Exited(exit) => trace_exit(exit),
            Fact::Closed => drop(children.remove(child)),
            Fact::Spawned { .. } | Fact::Chunk(_) => {}
        }
    }
}

fn finish_all(children: &mut HashMap<ChildId, Told>, which: impl Fn(ChildId) -> bool) {
    for (child, Told { pid, mut lines }) in children.extract_if(|child, _| which(*child)) {
        lines.finish(|line| trace_line(child, pid, &line));
    }
}

fn trace_line(child: ChildId, pid: Option<i32>, ChildLine { stream, line }: &ChildLine) {
    let line = String::from_utf8_lossy(&line.bytes);
    tracing::info!(target: TARGET, %child, pid, ?stream, line = &*line);
}

fn trace_exit(exit: &ChildExited) {
    let ChildExited(exit) = exit;
    tracing::info!(target: TARGET, child = %exit.child, pid = exit.pid, status = %exit.status);
}
