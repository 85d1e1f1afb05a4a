//! The memory of this process.

/// Returns the peak of this process's physical memory in bytes: Linux's `VmHWM`. It includes the pages of mapped files
/// that were read, which the system may drop at any time.
pub(super) fn peak() -> Option<u64> {
    in_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn in_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(super::in_status("VmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(super::in_status("VmPeak:\t  9 kB\n"), None);
    }
}
