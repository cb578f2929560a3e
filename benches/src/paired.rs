//! Ways to do the same thing, measured round by round: whatever else the machine does hits all of
//! them alike, which it does not where one is measured after the other.

use std::time::Duration;

use super::{median, short};

/// One way, and its name.
pub type Way<'a> = (&'a str, &'a dyn Fn() -> Duration);

/// Runs each way so many times (once where the bench shall only show that it works), in turn and every other time in reverse, since a way can leave the
/// machine better or worse for the next one. Prints for each of them its median and, against the
/// first one, the median, the lowest and the highest of the rounds' ratios: over 1 it is slower.
pub fn paired(what: &str, rounds: usize, ways: &[Way<'_>]) {
    let rounds = if short() { 1 } else { rounds };
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..ways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order.into_iter().for_each(|way| times[way].push((ways[way].1)()));
    }
    println!("{what}, {rounds} rounds in turn: median, ratio to ours (lowest to highest)");
    for ((name, _), own) in ways.iter().zip(&times) {
        let ratio = |(own, ours): (&Duration, &Duration)| own.as_secs_f64() / ours.as_secs_f64();
        let mut ratios: Vec<f64> = own.iter().zip(&times[0]).map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (low, middle, high) = (ratios[0], ratios[rounds / 2], ratios[rounds - 1]);
        let median = median(&mut own.clone());
        println!("  {name:<24} {median:>12.2?} {middle:>6.3}x ({low:.2} to {high:.2})");
    }
}
