//! What a line costs this process: its CPU time for each line of 80 bytes, of 32 children, to one
//! subscriber of ours (which counts newlines as the raw loop does, or takes each line), beside a
//! poll loop that only counts newlines, which is what the ratios are to. The same loop made to cut
//! lines shows how much of a ratio is the cutting. A plain table.
//!
//! The CPU of spawning is dealt with in two ways. "All of it": there are so many lines that 32
//! spawns are lost among them, and the start and the shutdown of ours count too. "Lines alone": the
//! same run with children that write nothing is taken off, each way's own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{collections::HashMap, hint::black_box, time::Duration};

use actix_process::{
    ChildId, OutputTo,
    log::{Chunk, Lines},
};

use actix_process_benches::{children, cpu_time, median, raw, short, sink, with_policy};

const CHILDREN: usize = 32;

fn newlines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Children that write so many lines each, through ours; `count` says how many lines a chunk ends.
fn ours(lines: usize, mut count: impl FnMut(ChildId, &Chunk) -> usize + Unpin + 'static) {
    with_policy(async |policy| {
        let total = sink::shared(0);
        let counted = total.clone();
        // Only stdout is piped, as in the raw loop.
        let command = children::command(&format!("lines {lines}")).stderr(OutputTo::Inherit);
        sink::run(&policy, vec![command; CHILDREN], move |child, chunk| {
            *counted.lock().unwrap() += count(child, chunk);
        })
        .await;
        assert_eq!(*total.lock().unwrap(), CHILDREN * lines);
    });
}

fn ours_counting(lines: usize) {
    ours(lines, |_, chunk| newlines(&chunk.bytes));
}

fn ours_as_lines(lines: usize) {
    let mut cutters: HashMap<_, Lines> = HashMap::new();
    ours(lines, move |child, chunk| {
        let mut seen = 0;
        cutters.entry((child, chunk.stream)).or_default().push(&chunk.bytes, |line| {
            black_box((child, &line.bytes[..]));
            seen += 1;
        });
        seen
    });
}

fn ours_lent(lines: usize) {
    let mut cutters: HashMap<_, Lines> = HashMap::new();
    ours(lines, move |child, chunk| {
        let mut seen = 0;
        cutters.entry((child, chunk.stream)).or_default().visit(&chunk.bytes, |line, _| {
            black_box((child, line));
            seen += 1;
        });
        seen
    });
}

fn raw_loop(lines: usize) {
    let mut total = 0;
    raw::poll_loop(&format!("lines {lines}"), CHILDREN, |_, chunk| total += newlines(chunk));
    assert_eq!(total, CHILDREN * lines);
}

/// The raw loop made to cut the lines: what looking at each line costs without anything of ours.
fn raw_as_lines(lines: usize) {
    let mut total = 0;
    let mut partial = vec![Vec::new(); CHILDREN];
    raw::poll_loop(&format!("lines {lines}"), CHILDREN, |child, chunk| {
        let partial = &mut partial[child];
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            if partial.is_empty() {
                black_box((child, &chunk[start..end]));
            } else {
                partial.extend_from_slice(&chunk[start..end]);
                black_box((child, &partial[..]));
                partial.clear();
            }
            total += 1;
            start = end + 1;
        }
        partial.extend_from_slice(&chunk[start..]);
    });
    assert_eq!(total, CHILDREN * lines);
}

fn cpu_of(run: impl FnOnce()) -> Duration {
    let before = cpu_time();
    run();
    cpu_time() - before
}

/// One way to read the lines, and the CPU time of its rounds.
struct Way {
    name: &'static str,
    run: fn(usize),
    full: Vec<Duration>,
    empty: Vec<Duration>,
}

impl Way {
    fn new(name: &'static str, run: fn(usize)) -> Self {
        Way { name, run, full: Vec::new(), empty: Vec::new() }
    }

    fn round(&mut self, lines: usize) {
        self.full.push(cpu_of(|| (self.run)(lines)));
        self.empty.push(cpu_of(|| (self.run)(0)));
    }

    /// Nanoseconds for each line: all of it, and without what the same run costs with no lines.
    fn medians(&mut self, lines: usize) -> [f64; 2] {
        let (full, empty) = (median(&mut self.full), median(&mut self.empty));
        let each = |time: Duration| time.as_nanos() as f64 / (CHILDREN * lines) as f64;
        [each(full), each(full.saturating_sub(empty))]
    }
}

fn main() {
    children::play();
    let (rounds, lines) = if short() { (1, 20_000) } else { (11, 200_000) };
    let mut ways = [
        Way::new("poll loop, counting", raw_loop),
        Way::new("poll loop, as lines", raw_as_lines),
        Way::new("ours, counting", ours_counting),
        Way::new("ours, lines lent", ours_lent),
        Way::new("ours, lines shared", ours_as_lines),
    ];
    // Round by round, so that whatever else the machine does hits all alike.
    for _ in 0..rounds {
        ways.iter_mut().for_each(|way| way.round(lines));
    }
    println!(
        "parent's CPU for a line, ns: {CHILDREN} children of {lines} lines, median of {rounds}"
    );
    println!("{:<20} {:>10} {:>7} {:>12} {:>7}", "", "all of it", "ratio", "lines alone", "ratio");
    let [base_all, base_alone] = ways[0].medians(lines);
    for way in &mut ways {
        let [all, alone] = way.medians(lines);
        let ratios = [all / base_all, alone / base_alone];
        println!(
            "{:<20} {all:>10.2} {:>6.2}x {alone:>12.2} {:>6.2}x",
            way.name, ratios[0], ratios[1]
        );
    }
}
