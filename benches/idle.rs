//! What silence costs: 10, 100 and 1,000 children that only sleep, both pipes to the log: the CPU
//! of this process over five seconds, and its memory for each child. A plain table.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{fs, time::Duration};

use actix_process::Command;
use actix_process_benches::cpu_time;

const SPAN: Duration = Duration::from_secs(5);

fn memory_kib() -> f64 {
    let status = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = status.lines().find(|line| line.starts_with("Private_Dirty")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    println!("children  CPU over {SPAN:?}  memory a child");
    actix_process_benches::with_policy(async |policy| {
        // One child through everything, so that what is made once is made.
        policy.spawn(Command::new("/bin/true")).await.unwrap().wait().await.unwrap();
        let mut before = memory_kib();
        let mut children = Vec::new();
        for target in [10, 100, 1_000] {
            let first = children.len();
            while children.len() < target {
                children.push(policy.spawn(Command::new("/bin/sleep").arg("1000")).await.unwrap());
            }
            actix::clock::sleep(Duration::from_millis(500)).await;
            let after = memory_kib();
            let each = (after - before) / (target - first) as f64;
            let cpu_before = cpu_time();
            actix::clock::sleep(SPAN).await;
            let share = (cpu_time() - cpu_before).as_secs_f64() / SPAN.as_secs_f64() * 100.0;
            println!("{target:>8}  {share:>10.3} %  {each:>8.2} KiB");
            before = after;
        }
    });
}
