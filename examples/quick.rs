//! Quick.
use actix_process::*;
#[actix::main]
async fn main() {
    let p = Policy::start().unwrap();
    println!("{:?}", p.driver());
    let c = p.spawn(Command::shell("echo hi; echo err >&2; exit 3")).await.unwrap();
    let o = c.output().await.unwrap();
    println!("{:?} {:?}", o, String::from_utf8_lossy(&o.stdout));
    println!("{:?}", p.spawn(Command::new("/nope")).await.map(|_|()).map_err(|e|e.to_string()));
    p.shutdown(std::time::Duration::from_secs(1)).await;
}
