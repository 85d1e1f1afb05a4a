//! CPU time of a process and of the programs that it ran, as Linux counts it.
//!
//! How long a step takes depends on what runs beside it; the CPU time hardly does.

/// Ticks a second in which `/proc` states times: `USER_HZ` of the kernel, the same on all of Rust's Linux targets.
const TICKS_PER_SECOND: u64 = 100;

/// Begins the line that tells the parent process about it.
const LINE: &str = "== CPU time in seconds: ";

/// Seconds of this process and of its children that have ended, with theirs; `None` where there is no `/proc`.
pub(crate) fn seconds() -> Option<u64> {
    seconds_of(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// From a `stat` file (proc_pid_stat(5)): fields 14 to 17 are the time in user mode and in the kernel, of the process
/// and of its children.
fn seconds_of(stat: &str) -> Option<u64> {
    // The second field, the program's name in parentheses, may itself contain spaces and parentheses.
    let (_, from_third) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        from_third.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>().ok()?;
    (ticks.len() == 4).then(|| ticks.iter().sum::<u64>() / TICKS_PER_SECOND)
}

/// What a process prints at its end, for [`taken_from`].
pub(crate) fn line(seconds: u64) -> String {
    format!("{LINE}{seconds}")
}

/// Takes the line out of what a process printed: returns its seconds, and the rest.
pub(crate) fn taken_from(printed: &str) -> (Option<u64>, String) {
    let seconds = printed.lines().rev().find_map(|printed| printed.strip_prefix(LINE)?.parse().ok());
    let rest: String = printed.split_inclusive('\n').filter(|printed| !printed.starts_with(LINE)).collect();
    (seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_times_are_added_whatever_the_programs_name_is() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 120 30 1000 250 20 0 1";
        assert_eq!(seconds_of(stat), Some(14));
        assert_eq!(seconds_of("7 (a) S 1 2 3 4 5 6 7 8 9 10 120 30 1000"), None);
        assert_eq!(seconds_of(""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_that_ended_is_counted() {
        let before = seconds().unwrap();
        // As often as it takes on a machine that is busy with other things.
        for _ in 0..60 {
            std::process::Command::new("timeout").args(["1", "sh", "-c", "while :; do :; done"]).status().unwrap();
            if seconds().unwrap() > before {
                return;
            }
        }
        panic!("a minute of children is not counted: {before} s before, {:?} after", seconds());
    }

    #[test]
    fn the_line_of_the_time_is_taken_out() {
        let printed = format!("one\n{}\nerror: two\n", line(12));
        assert_eq!(taken_from(&printed), (Some(12), "one\nerror: two\n".into()));
        assert_eq!(taken_from("one\n"), (None, "one\n".into()));
    }
}
