//! One contract for the five child watchers and one made by a user.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]
#![allow(clippy::zombie_processes, reason = "the watchers reap them")]

#[path = "../examples/own_watcher/poller.rs"]
mod poller;
mod support;

use std::{
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
};

use actix::{Actor, Context, Handler};
use actix_process::{
    ExitStatus,
    asyncio::{
        ChildWatcher, EventLoop, ExitHandler, FastWatcher, MultiLoopWatcher, PidfdWatcher,
        SafeWatcher, ThreadedWatcher, WatchError, WatchedExit,
    },
};
use nix::{
    errno::Errno,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction},
    sys::wait::waitpid,
    unistd::Pid,
};
use poller::Poller;
use support::{lock, run, run_in, stress, until, within};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pidfd,
    Threaded,
    Safe,
    Fast,
    MultiLoop,
    Own,
}

const KINDS: [Kind; 6] =
    [Kind::Pidfd, Kind::Threaded, Kind::Safe, Kind::Fast, Kind::MultiLoop, Kind::Own];

impl Kind {
    fn make(self) -> Arc<dyn ChildWatcher> {
        match self {
            Kind::Pidfd => Arc::new(PidfdWatcher::new()),
            Kind::Threaded => Arc::new(ThreadedWatcher::new()),
            Kind::Safe => Arc::new(SafeWatcher::new()),
            Kind::Fast => Arc::new(FastWatcher::new()),
            Kind::MultiLoop => Arc::new(MultiLoopWatcher::new().unwrap()),
            Kind::Own => Arc::new(Poller::start()),
        }
    }

    /// Whether it works on the loop that it is attached to.
    fn needs_a_loop(self) -> bool {
        matches!(self, Kind::Pidfd | Kind::Safe | Kind::Fast)
    }

    fn uses_sigchld(self) -> bool {
        matches!(self, Kind::Safe | Kind::Fast | Kind::MultiLoop)
    }
}

/// Runs a test for each watcher, attached to the test's own loop, and closes it afterwards.
fn each(test: impl AsyncFn(Kind, &Arc<dyn ChildWatcher>)) {
    for kind in KINDS {
        println!("{kind:?}");
        run(async || {
            let disposition = sigchld();
            let watcher = kind.make();
            watcher.attach_loop(EventLoop::current()).unwrap();
            assert!(watcher.is_active());
            test(kind, &watcher).await;
            watcher.close();
            assert!(!watcher.is_active());
            assert!(matches!(
                watcher.add_child_handler(1, ExitHandler::new(|_| {})),
                Err(WatchError::Inactive)
            ));
            assert_eq!(sigchld(), disposition, "the disposition is not restored: {kind:?}");
        });
    }
}

/// Where the handler of SIGCHLD is.
fn sigchld() -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; the out-pointer is to memory of its type.
    unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: it was zeroed and then written.
    unsafe { action.assume_init() }.sa_sigaction
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).stdin(Stdio::null());
    command
}

/// One that goes on when its standard input ends.
fn fed(line: &str) -> Command {
    let mut command = shell(&format!("read fed; {line}"));
    command.stdin(Stdio::piped());
    command
}

type Told = UnboundedReceiver<WatchedExit>;

/// A handler, and what it is told.
fn handler() -> (ExitHandler, Told) {
    let (tell, told) = unbounded_channel();
    (ExitHandler::new(move |exit| tell.send(exit).unwrap()), told)
}

fn watch(watcher: &Arc<dyn ChildWatcher>, mut command: Command) -> (Child, Told) {
    let _guard = watcher.registering();
    let child = command.spawn().unwrap();
    let (handler, told) = handler();
    watcher.add_child_handler(pid_of(&child), handler).unwrap();
    (child, told)
}

fn pid_of(child: &Child) -> i32 {
    child.id().try_into().unwrap()
}

async fn exit(told: &mut Told) -> WatchedExit {
    within(told.recv()).await.expect("the handler was dropped, not called")
}

/// Whether it runs: neither a zombie nor gone.
fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// Something happens to the watcher, so that a handler that wrongly waits to be called is.
async fn another_exit(watcher: &Arc<dyn ChildWatcher>) {
    let (_, mut told) = watch(watcher, shell("exit 0"));
    exit(&mut told).await;
}

#[test]
fn codes_and_signals_are_told_once() {
    each(async |_, watcher| {
        for (line, returncode) in [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", -9)] {
            let (child, mut told) = watch(watcher, shell(line));
            let exit = exit(&mut told).await;
            assert_eq!((exit.pid, exit.returncode()), (pid_of(&child), returncode));
            // The closure is gone with its one call.
            assert_eq!(told.recv().await, None);
        }
    });
}

struct Subscriber(Arc<Mutex<Vec<WatchedExit>>>);

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<WatchedExit> for Subscriber {
    type Result = ();

    fn handle(&mut self, exit: WatchedExit, _: &mut Self::Context) {
        lock(&self.0).push(exit);
    }
}

#[test]
fn a_recipient_is_told_too() {
    each(async |_, watcher| {
        let exits = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Subscriber(Arc::clone(&exits)).start();
        let guard = watcher.registering();
        let child = shell("exit 5").spawn().unwrap();
        watcher.add_child_handler(pid_of(&child), subscriber.recipient().into()).unwrap();
        drop(guard);
        until("the recipient is told", || !lock(&exits).is_empty()).await;
        assert_eq!(lock(&exits)[0].status, ExitStatus::Code(5));
    });
}

#[test]
fn a_child_that_has_ended_before_is_told() {
    each(async |_, watcher| {
        let guard = watcher.registering();
        let child = shell("exit 6").spawn().unwrap();
        until("the child ends", || !runs(pid_of(&child))).await;
        let (handler, mut told) = handler();
        watcher.add_child_handler(pid_of(&child), handler).unwrap();
        drop(guard);
        assert_eq!(exit(&mut told).await.status, ExitStatus::Code(6));
    });
}

#[test]
fn a_replaced_handler_is_never_called() {
    each(async |_, watcher| {
        let (mut child, mut replaced) = watch(watcher, fed("exit 7"));
        let (handler, mut told) = handler();
        watcher.add_child_handler(pid_of(&child), handler).unwrap();
        drop(child.stdin.take());
        assert_eq!(exit(&mut told).await.status, ExitStatus::Code(7));
        assert_eq!(within(replaced.recv()).await, None);
    });
}

#[test]
fn a_removed_handler_is_never_called_and_its_child_is_its_owners() {
    each(async |kind, watcher| {
        let (mut child, mut removed) = watch(watcher, fed("exit 8"));
        assert!(watcher.remove_child_handler(pid_of(&child)));
        assert!(!watcher.remove_child_handler(pid_of(&child)));
        drop(child.stdin.take());
        until("the child ends", || !runs(pid_of(&child))).await;
        another_exit(watcher).await;
        assert_eq!(within(removed.recv()).await, None);
        match child.wait() {
            Ok(status) => assert_eq!(status.code(), Some(8)),
            // It reaps whatever ends.
            Err(error) => {
                assert_eq!((kind, error.raw_os_error()), (Kind::Fast, Some(libc::ECHILD)))
            }
        }
    });
}

#[test]
fn children_that_end_under_one_signal_are_all_told() {
    each(async |_, watcher| {
        for count in [2, 200] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut watched: Vec<_> = (0..count)
                .map(|_| {
                    let mut command = Command::new("cat");
                    command.stdin(reader.try_clone().unwrap()).stdout(Stdio::null());
                    watch(watcher, command)
                })
                .collect();
            // The loop is held while they end.
            drop(writer);
            for (child, _) in &watched {
                while runs(pid_of(child)) {
                    thread::yield_now();
                }
            }
            for (child, told) in &mut watched {
                let exit = exit(told).await;
                assert_eq!((exit.pid, exit.status), (pid_of(child), ExitStatus::Code(0)));
                assert_eq!(told.recv().await, None);
            }
        }
    });
}

#[test]
fn a_status_is_lost_only_where_someone_else_took_it() {
    each(async |kind, watcher| {
        // Before the watch.
        if kind != Kind::Own {
            let mut child = shell("exit 9").spawn().unwrap();
            let taken = child.wait().is_ok();
            let (handler, mut told) = handler();
            watcher.add_child_handler(pid_of(&child), handler).unwrap();
            assert_eq!(exit(&mut told).await.returncode(), 255, "{taken}");
        }
        // During it. The wait blocks this thread, and with it the loop of those that need one.
        for _ in 0..20 {
            let (mut child, mut told) = watch(watcher, fed("exit 10"));
            let taken = child.wait();
            let expected = match taken {
                Ok(status) => {
                    assert_eq!(status.code(), Some(10));
                    ExitStatus::Lost
                }
                Err(_) => ExitStatus::Code(10),
            };
            assert_eq!(exit(&mut told).await.status, expected);
        }
    });
}

#[test]
fn a_bystanders_child_keeps_its_status() {
    each(async |kind, watcher| {
        let mut bystanders: Vec<_> = (0..20).map(|_| shell("exit 11").spawn().unwrap()).collect();
        for bystander in &bystanders {
            until("the bystander ends", || !runs(pid_of(bystander))).await;
        }
        // Zombies of others do not hide the watched ones.
        for _ in 0..20 {
            another_exit(watcher).await;
        }
        for bystander in &mut bystanders {
            match bystander.wait() {
                Ok(status) => assert_eq!(status.code(), Some(11)),
                Err(error) => {
                    assert_eq!((kind, error.raw_os_error()), (Kind::Fast, Some(libc::ECHILD)));
                }
            }
        }
    });
}

#[test]
fn the_fast_watcher_reports_collateral_and_parks_under_its_guard() {
    run(async || {
        let collateral = Arc::new(Mutex::new(Vec::new()));
        let report = Arc::clone(&collateral);
        let fast = FastWatcher::reporting(move |exit| lock(&report).push((exit.pid, exit.status)));
        let watcher: Arc<dyn ChildWatcher> = Arc::new(fast);
        watcher.attach_loop(EventLoop::current()).unwrap();
        let bystander = shell("exit 12").spawn().unwrap();
        until("the collateral is told", || !lock(&collateral).is_empty()).await;
        assert_eq!(lock(&collateral).pop(), Some((pid_of(&bystander), ExitStatus::Code(12))));

        // Under a guard it is kept until the guard goes, or the watcher.
        let guard = watcher.registering();
        let parked = shell("exit 13").spawn().unwrap();
        until("the child is reaped", || !support::exists(pid_of(&parked))).await;
        assert_eq!(*lock(&collateral), []);
        drop(guard);
        assert_eq!(lock(&collateral).pop(), Some((pid_of(&parked), ExitStatus::Code(13))));

        let guard = watcher.registering();
        let parked = shell("exit 14").spawn().unwrap();
        until("the child is reaped", || !support::exists(pid_of(&parked))).await;
        watcher.close();
        assert_eq!(lock(&collateral).pop(), Some((pid_of(&parked), ExitStatus::Code(14))));
        drop(guard);
        assert_eq!(*lock(&collateral), []);
    });
}

#[test]
fn an_ignored_sigchld_keeps_nobody_waiting() {
    each(async |kind, watcher| {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is installed, and the earlier one is put back.
        let before = unsafe { sigaction(Signal::SIGCHLD, &ignore) }.unwrap();
        let (_, mut told) = watch(watcher, shell("exit 15"));
        let told = exit(&mut told).await;
        // SAFETY: as above.
        unsafe { sigaction(Signal::SIGCHLD, &before) }.unwrap();
        assert_eq!(told.returncode(), 255, "{kind:?}");
    });
}

#[test]
fn a_sigchld_that_was_ignored_before_is_the_watchers() {
    for kind in KINDS.into_iter().filter(|kind| kind.uses_sigchld()) {
        run(async || {
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler is installed, and the earlier one is put back.
            let before = unsafe { sigaction(Signal::SIGCHLD, &ignore) }.unwrap();
            let watcher = kind.make();
            watcher.attach_loop(EventLoop::current()).unwrap();
            let (_, mut told) = watch(&watcher, shell("exit 16"));
            assert_eq!(exit(&mut told).await.returncode(), 16);
            watcher.close();
            assert_eq!(sigchld(), libc::SIG_IGN);
            // SAFETY: as above.
            unsafe { sigaction(Signal::SIGCHLD, &before) }.unwrap();
        });
    }
}

#[test]
fn a_changed_disposition_is_left_as_it_is() {
    extern "C" fn foreign(_: i32) {}
    for kind in KINDS.into_iter().filter(|kind| kind.uses_sigchld()) {
        run(async || {
            let before = sigchld();
            let watcher = kind.make();
            watcher.attach_loop(EventLoop::current()).unwrap();
            let handler = SigHandler::Handler(foreign);
            let changed = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
            // SAFETY: the handler does nothing.
            unsafe { sigaction(Signal::SIGCHLD, &changed) }.unwrap();
            // Also without its signal the watcher finds its children.
            let (_, mut told) = watch(&watcher, shell("exit 17"));
            assert_eq!(exit(&mut told).await.returncode(), 17);
            watcher.close();
            assert_eq!(sigchld(), foreign as *const () as usize);
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler is installed.
            unsafe { sigaction(Signal::SIGCHLD, &default) }.unwrap();
            assert_eq!(sigchld(), before);
        });
    }
}

#[test]
fn exits_while_detached_are_told_at_the_next_attachment() {
    each(async |kind, watcher| {
        let (mut child, mut told) = watch(watcher, fed("exit 18"));
        watcher.attach_loop(None).unwrap();
        assert_eq!(watcher.is_active(), !kind.needs_a_loop());
        drop(child.stdin.take());
        if kind.needs_a_loop() {
            until("the child ends", || !runs(pid_of(&child))).await;
            assert!(told.try_recv().is_err());
            let refused = watcher.add_child_handler(pid_of(&child), ExitHandler::new(|_| {}));
            assert!(matches!(refused, Err(WatchError::Inactive)));
        }
        // Another thread's loop, and back.
        let other = EventLoop::start().unwrap();
        watcher.attach_loop(Some(other.clone())).unwrap();
        assert_eq!(exit(&mut told).await.status, ExitStatus::Code(18));
        let (_, mut told) = watch(watcher, shell("exit 19"));
        assert_eq!(exit(&mut told).await.status, ExitStatus::Code(19));
        watcher.attach_loop(EventLoop::current()).unwrap();
        drop(other);
        another_exit(watcher).await;
    });
}

#[test]
fn leaving_a_loop_whose_last_handle_the_watcher_has_blocks_nobody() {
    each(async |kind, watcher| {
        for _ in 0..20 {
            watcher.attach_loop(Some(EventLoop::start().unwrap())).unwrap();
            let mut watched: Vec<_> = (0..5).map(|_| watch(watcher, shell("exit 23"))).collect();
            // Its loop may be in the middle of an exit now.
            watcher.attach_loop(EventLoop::current()).unwrap();
            for (_, told) in &mut watched {
                assert_eq!(exit(told).await.status, ExitStatus::Code(23), "{kind:?}");
            }
        }
    });
}

#[test]
fn attaching_to_the_same_loop_again_from_another_thread_loses_no_exit() {
    each(async |_, watcher| {
        let here = EventLoop::current().unwrap();
        let (mut child, mut told) = watch(watcher, fed("exit 24"));
        let elsewhere = Arc::clone(watcher);
        thread::spawn(move || {
            for _ in 0..20 {
                elsewhere.attach_loop(Some(here.clone())).unwrap();
                elsewhere.attach_loop(None).unwrap();
                elsewhere.attach_loop(Some(here.clone())).unwrap();
            }
        })
        .join()
        .unwrap();
        drop(child.stdin.take());
        assert_eq!(exit(&mut told).await.status, ExitStatus::Code(24));
    });
}

#[test]
fn a_close_drops_handlers_and_leaves_children_alive() {
    each(async |_, watcher| {
        let (mut child, mut told) = watch(watcher, fed("exit 20"));
        watcher.close();
        assert_eq!(within(told.recv()).await, None);
        assert!(runs(pid_of(&child)));
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(20));
        let refused = watcher.attach_loop(EventLoop::current());
        assert!(matches!(refused, Err(WatchError::Inactive)));
    });
}

#[test]
fn strangers_are_refused_and_a_panicking_handler_stops_nobody() {
    each(async |kind, watcher| {
        if kind != Kind::Own {
            for pid in [0, -1, 1] {
                let refused = watcher.add_child_handler(pid, ExitHandler::new(|_| {}));
                assert!(matches!(refused, Err(WatchError::NotAChild(it)) if it == pid));
            }
        }
        let guard = watcher.registering();
        let child = shell("exit 21").spawn().unwrap();
        let panics = ExitHandler::new(|_| panic!("injected: a handler"));
        watcher.add_child_handler(pid_of(&child), panics).unwrap();
        drop(guard);
        another_exit(watcher).await;
        until("the child is reaped", || !support::exists(pid_of(&child))).await;
    });
}

#[test]
fn several_threads_with_a_loop_each_share_a_watcher() {
    each(async |kind, watcher| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let watcher = Arc::clone(watcher);
                thread::spawn(move || {
                    actix::System::new().block_on(async {
                        let here = thread::current().id();
                        for code in 0..25 {
                            let (tell, mut told) = unbounded_channel();
                            let guard = watcher.registering();
                            let child = shell(&format!("exit {code}")).spawn().unwrap();
                            let handler = ExitHandler::new(move |exit| {
                                tell.send((exit.status, thread::current().id())).unwrap();
                            });
                            watcher.add_child_handler(pid_of(&child), handler).unwrap();
                            drop(guard);
                            let (status, place) = within(told.recv()).await.unwrap();
                            assert_eq!(status, ExitStatus::Code(code));
                            if matches!(kind, Kind::Threaded | Kind::MultiLoop) {
                                assert_eq!(place, here, "a handler runs on its own loop");
                            }
                        }
                    });
                })
            })
            .collect();
        until("the threads end", || threads.iter().all(thread::JoinHandle::is_finished)).await;
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn registrations_removals_and_exits_race_and_nothing_is_told_twice() {
    let rounds = stress() / 50;
    each(async |kind, watcher| {
        // The loop goes on here while another thread registers.
        let watcher = Arc::clone(watcher);
        let racing = thread::spawn(move || {
            for round in 0..rounds {
                let guard = watcher.registering();
                let mut child = shell("exit 22").spawn().unwrap();
                let pid = pid_of(&child);
                let calls: [Arc<AtomicUsize>; 2] = Default::default();
                let (tell, told) = channel();
                for calls in &calls {
                    let (calls, tell) = (Arc::clone(calls), tell.clone());
                    let handler = ExitHandler::new(move |exit| {
                        calls.fetch_add(1, SeqCst);
                        tell.send(exit.status).unwrap();
                    });
                    // A second one that comes too late is told that the status is lost, and may be
                    // told so before the first, which was taken out, gets to run.
                    watcher.add_child_handler(pid, handler).unwrap();
                    if round % 3 == 0 {
                        break;
                    }
                }
                drop((guard, tell));
                let removed = round % 2 == 0 && watcher.remove_child_handler(pid);
                // Each handler is called or dropped in the end, and the channel closes.
                let mut statuses = Vec::new();
                let end = loop {
                    match told.recv_timeout(support::DEADLINE) {
                        Ok(status) => statuses.push(status),
                        Err(end) => break end,
                    }
                };
                assert_eq!(end, RecvTimeoutError::Disconnected, "told {statuses:?}");
                let true_ones = statuses.iter().filter(|it| **it == ExitStatus::Code(22)).count();
                let lost_ones = statuses.iter().filter(|it| **it == ExitStatus::Lost).count();
                assert_eq!(true_ones + lost_ones, statuses.len(), "told {statuses:?}");
                assert!(lost_ones <= true_ones, "told {statuses:?}");
                if removed {
                    // Its handlers are gone; the child is ours, unless it had told an exit before.
                    let waited = child.wait();
                    assert!(waited.is_ok() || kind == Kind::Fast || true_ones == 1, "{waited:?}");
                } else {
                    assert_eq!(true_ones, 1, "told {statuses:?}");
                }
                assert!(calls.iter().all(|calls| calls.load(SeqCst) <= 1));
            }
        });
        until("the races end", || racing.is_finished()).await;
        racing.join().unwrap();
    });
}

#[test]
fn a_watcher_dropped_with_live_children_leaves_no_thread() {
    for kind in KINDS {
        run(async || {
            let watcher = kind.make();
            watcher.attach_loop(EventLoop::current()).unwrap();
            let (child, _told) = watch(&watcher, shell("exec sleep 1000"));
            drop(watcher);
            kill(Pid::from_raw(pid_of(&child)), Signal::SIGKILL).unwrap();
            assert_ne!(waitpid(Pid::from_raw(pid_of(&child)), None), Err(Errno::EINTR));
        });
    }
}

#[test]
fn without_any_loop_those_that_need_none_work() {
    run_in(|| {
        for kind in KINDS {
            let watcher = kind.make();
            assert_eq!(watcher.is_active(), !kind.needs_a_loop());
            if watcher.is_active() {
                let (_, mut told) = watch(&watcher, shell("kill -TERM $$"));
                assert_eq!(told.blocking_recv().unwrap().returncode(), -15);
            } else {
                let mut child = shell("exit 1").stdout(Stdio::piped()).spawn().unwrap();
                let refused = watcher.add_child_handler(pid_of(&child), ExitHandler::new(|_| {}));
                assert!(matches!(refused, Err(WatchError::Inactive)));
                child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
                assert_eq!(child.wait().unwrap().into_raw() >> 8, 1);
            }
            watcher.close();
        }
    });
}
