//! What this process takes, as the kernel counts it.

/// Bytes of memory that are resident.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.expect("the kernel says how much memory is resident") * 1024
}

/// User and system time of this process so far; the kernel counts in hundredths of a second.
pub fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    // The fields are counted from behind the name, which may hold spaces.
    let after = stat.rsplit(')').next().expect("it has a name");
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
