//! `Session`: one run of a tool, from its policy's start to the last line.

use std::{
    error::Error,
    fs::File,
    io::{self, ErrorKind},
    pin::pin,
    process::ExitCode,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use actix_process::{Policy, PolicyHandle, Subscribe};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        oneshot,
    },
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    End, GRACE, Notes, Printer, Roster, Say,
    end::{NO_READER, fail},
    family::Family,
    printer::Last,
    processes::{Process, named},
    signals::{Event, Signals, stop_self},
    write::are_one_file,
};

/// The policy may take this long after the grace: it kills, reaps, and joins its threads.
const AFTER_GRACE: Duration = Duration::from_millis(600);

/// The output may take this long after that, if a signal ends the tool.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Nothing tells when an orphan ends.
const LOOK: Duration = Duration::from_millis(50);

/// Nothing tells when a stray stops: so often it is looked for, if a look is short.
const STRAYS: Duration = Duration::from_secs(1);

/// A look may cost one part of so many of a processor.
const COST: u32 = 50;

/// More than an actix System or Arbiter opens: parts of them panic if they are given none.
const DESCRIPTORS: usize = 16;

/// Runs a tool: blocks its signals before any thread is there, and ends as `work` says.
pub(crate) fn run(
    tool: &'static str,
    names: &[String],
    work: impl AsyncFnOnce(Session) -> Result<End, Box<dyn Error>>,
) -> ExitCode {
    let signals = Signals::block();
    let failed = |error: Box<dyn Error>| {
        signals.leave_if_any();
        fail(tool, 1, &error.to_string())
    };
    if let Err(error) = enough_descriptors() {
        return failed(error.into());
    }
    let system = actix::System::new();
    let ended = system.block_on(async { work(Session::open(tool, names, &signals).await?).await });
    match ended {
        // Here, because the System's own end waits for everything.
        Ok(end) => end.leave(),
        Err(error) => failed(error),
    }
}

fn enough_descriptors() -> io::Result<()> {
    let reserved: io::Result<Vec<_>> = (0..DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    let cannot = |error: io::Error| io::Error::new(error.kind(), format!("cannot start: {error}"));
    reserved.map(drop).map_err(cannot)
}

pub(crate) struct Session {
    tool: &'static str,
    pub(crate) policy: PolicyHandle,
    pub(crate) printer: Addr<Printer>,
    pub(crate) notes: Notes,
    pub(crate) roster: Rc<Roster>,
    pub(crate) family: Arc<Family>,
    events: UnboundedReceiver<Event>,
}

impl Session {
    async fn open(
        tool: &'static str,
        names: &[String],
        signals: &Signals,
    ) -> Result<Self, Box<dyn Error>> {
        let (tell, events) = unbounded_channel();
        let policy = Policy::start()?;
        let family = Arc::new(Family::new());
        signals.listen(policy.clone(), Arc::clone(&family), tell.clone())?;
        let notes = Notes::start(tool)?;
        let roster = Rc::new(Roster::new(Arc::clone(&family), tell.clone()));
        enough_descriptors()?;
        let printer = Printer::new(names, tell);
        let printer = Printer::start_in_arbiter(&Arbiter::new().handle(), move |_| printer);
        policy.subscribe(Subscribe::output(printer.clone().recipient())).await?;
        Ok(Session { tool, policy, printer, notes, roster, family, events })
    }

    /// Waits until `done` has the exit code, or something else ends the tool; ends every child and
    /// prints what is left, with the summary.
    pub(crate) async fn conduct(
        mut self,
        done: oneshot::Receiver<u8>,
        summary: impl AsyncFnOnce() -> Option<String>,
    ) -> End {
        let (end, deadline) = self.until_done(done).await;
        let (end, deadline, survivors) = self.until_stopped(end, deadline).await;
        let mut lines: Vec<_> = summary().await.into_iter().collect();
        if !survivors.is_empty() {
            let survivors = format!("still running: {}", named(&survivors));
            lines.push(format!("{}: {survivors}", self.tool));
            if !are_one_file() {
                self.notes.tell(&survivors);
            }
        }
        self.until_written(end, deadline, lines).await
    }

    async fn until_done(&mut self, mut done: oneshot::Receiver<u8>) -> (End, Ending) {
        let mut look = pin!(sleep(STRAYS));
        let end = loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some((end, _)) = self.hear(event).await {
                        break end;
                    }
                }
                code = &mut done => break End::Code(code.unwrap_or(1)),
                () = &mut look => {
                    let begin = Instant::now();
                    self.look_for_strays();
                    look.set(sleep(STRAYS.max(begin.elapsed() * COST)));
                }
            }
        };
        match end {
            // The thread that took the signal has told everyone.
            End::Signal(_) => self.notes.tell("ending every child"),
            End::Code(_) => self.family.end(&self.policy),
        }
        (end, Ending { by: Instant::now() + GRACE })
    }

    /// Waits for the policy, which ends the children, and for the strays. Returns what still
    /// runs.
    async fn until_stopped(
        &mut self,
        mut end: End,
        mut ending: Ending,
    ) -> (End, Ending, Vec<Process>) {
        let policy = self.policy.clone();
        let mut stopped = pin!(policy.stopped());
        let mut has_stopped = false;
        let mut left;
        loop {
            let soon = Instant::now() + LOOK;
            let look = if has_stopped { soon } else { soon.max(ending.by) };
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some((other, again)) = self.hear(event).await {
                        end = end.or(other);
                        ending.hurry(again);
                    }
                }
                _ = &mut stopped, if !has_stopped => {
                    left = self.left();
                    if left.is_empty() {
                        break;
                    }
                    // One may have left its group just before that was told to end.
                    self.family.terminate(self.family.strays(None), None);
                    has_stopped = true;
                }
                // Something that cannot be ended holds it up.
                () = sleep_until(ending.by + AFTER_GRACE) => {
                    left = self.left();
                    break;
                }
                () = sleep_until(look) => {
                    if Instant::now() >= ending.by {
                        self.family.kill_strays(None);
                    }
                    left = self.left();
                    if has_stopped && left.is_empty() {
                        break;
                    }
                }
            }
        }
        (end, ending, left)
    }

    /// Writes the last lines, and waits until the output is taken; not for ever after a signal.
    async fn until_written(&mut self, mut end: End, ending: Ending, lines: Vec<String>) -> End {
        let (printer, notes) = (self.printer.clone(), self.notes.clone());
        // All of the grace is over already, or was cut short.
        let mut limit = (ending.by + AFTER_GRACE).min(Instant::now().max(ending.by)) + LAST_OUTPUT;
        let mut written = pin!(async {
            // The printer ends with the program only.
            let _ = printer.send(Last(lines)).await;
            notes.flushed().await;
        });
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Some((other, again)) = self.hear(event).await {
                        if !end.is_signal() && other.is_signal() {
                            limit = Instant::now() + GRACE;
                        }
                        end = end.or(other);
                        if again {
                            return end;
                        }
                    }
                }
                () = &mut written => break,
                () = sleep_until(limit), if end.is_signal() => return end,
            }
        }
        // The last line may have failed.
        while let Ok(event) = self.events.try_recv() {
            if let Some((other, _)) = self.hear(event).await {
                end = end.or(other);
            }
        }
        // Standard error may have no reader.
        let _ = timeout(LAST_OUTPUT, self.notes.flushed()).await;
        end
    }

    /// Looks for strays that have stopped: the library tells of its own children only.
    fn look_for_strays(&self) {
        for (name, text) in self.roster.newly_stopped_strays() {
            match name {
                Some(name) => self.printer.do_send(Say { name, text }),
                None => self.notes.tell(&text),
            }
        }
    }

    /// What still runs of all that the children have started.
    fn left(&self) -> Vec<Process> {
        self.family.living().into_iter().map(|it| it.process).collect()
    }

    /// Acts on an event. What ends the tool is returned, and whether it was asked for once more.
    async fn hear(&self, event: Event) -> Option<(End, bool)> {
        match event {
            Event::End { signal, again } => return Some((End::Signal(signal), again)),
            Event::Stop => {
                self.roster.hold().await;
                stop_self();
                self.roster.resume().await;
            }
            Event::Continue => self.roster.resume().await,
            Event::ChildChanged => {
                for (name, text) in self.roster.newly_stopped() {
                    self.printer.do_send(Say { name, text });
                }
            }
            Event::OutputFailed(error) if error.kind() == ErrorKind::BrokenPipe => {
                return Some((End::Code(NO_READER), false));
            }
            Event::OutputFailed(error) => {
                self.notes.tell(&format!("cannot write the output: {error}"));
                return Some((End::Code(1), false));
            }
        }
        None
    }
}

/// When the children must have ended.
struct Ending {
    by: Instant,
}

impl Ending {
    fn hurry(&mut self, again: bool) {
        let by = Instant::now() + if again { Duration::ZERO } else { GRACE };
        self.by = self.by.min(by);
    }
}
