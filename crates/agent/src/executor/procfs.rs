//! Which process is that? A process id alone does not say: the kernel gives it to somebody else in time.
//!
//! A process is known by its id together with the time it was started and the boot of the machine. On Linux both are
//! read from `/proc`, where processes can also be found by a variable they were started with; elsewhere `ps` says when a
//! process was started, and none can be found by a variable.

/// What tells a process from an earlier or later one with the same id; `None` when there is no such process, or it has
/// ended and only its exit status is left.
pub(super) fn identity(pid: u32) -> Option<String> {
    #[cfg(target_os = "linux")]
    return linux::identity(pid);
    #[cfg(not(target_os = "linux"))]
    return by_ps(pid);
}

/// A process that was started with a certain variable in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) pid: u32,
    /// Whether it leads its process group: it is what was started, not something that one started in turn.
    pub(super) leader: bool,
    /// The value of the second variable asked for.
    pub(super) also: Option<String>,
}

/// The living processes whose environment says `name=value`, with their value of `also`. Processes of other users, and
/// ones that have written over their environment, are not found.
pub(super) fn marked(name: &str, value: &str, also: &str) -> Vec<Marked> {
    #[cfg(target_os = "linux")]
    return linux::marked(name, value, also);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (name, value, also);
        Vec::new()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{ErrorKind, Read as _};
    use std::time::Duration;

    use super::Marked;

    /// The fields of `/proc/pid/stat` that matter here (proc_pid_stat(5)).
    struct Stat {
        state: char,
        group: u32,
        flags: u32,
        started: u64,
        /// Where its environment ends; 0 in the middle of an exec.
        environment_end: u64,
    }

    /// `PF_KTHREAD` (include/linux/sched.h): a thread of the kernel, which has no environment.
    const KERNEL_THREAD: u32 = 0x0020_0000;

    /// Of a longer environment (bytes) the rest is not looked at.
    const MOST: usize = 1024 * 1024;

    /// How often, and how long apart, a process is asked again that is in the middle of an exec (which takes
    /// microseconds, unless the machine is so busy that it gets no turn).
    const AGAIN: (u32, Duration) = (1_000, Duration::from_millis(2));

    /// How often a process may read as empty that is in no exec, until it is believed to have no environment.
    const EMPTY: u32 = 4;

    fn stat(pid: u32) -> Option<Stat> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Stat> {
        // The second field is the name, in brackets, and may itself hold brackets and spaces.
        let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let flags = fields.nth(3)?.parse().ok()?;
        let started = fields.nth(12)?.parse().ok()?;
        let environment_end = fields.nth(28)?.parse().ok()?;
        Some(Stat { state, group, flags, started, environment_end })
    }

    fn alive(stat: &Stat) -> bool {
        !matches!(stat.state, 'Z' | 'X' | 'x')
    }

    pub(super) fn identity(pid: u32) -> Option<String> {
        let stat = stat(pid).filter(alive)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(format!("{}:{}", boot.trim(), stat.started))
    }

    pub(super) fn marked(name: &str, value: &str, also: &str) -> Vec<Marked> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let own = std::process::id();
        let mut buffer = vec![0; MOST];
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != own)
            .filter_map(|pid| {
                let environment = environment(pid, &mut buffer)?;
                if lookup(environment, name)? != value {
                    return None;
                }
                let stat = stat(pid).filter(alive)?;
                Some(Marked { pid, leader: stat.group == pid, also: lookup(environment, also) })
            })
            .collect()
    }

    /// A process's environment, at most [`MOST`] bytes of it.
    ///
    /// Taken with a single read: during one call the kernel holds on to the program's memory, while between two the
    /// program may exec, and what was read breaks off. At the worst moment of an exec it reads as empty, and is asked for
    /// again. Otherwise a gateway started by a wrapper script could be overlooked, and a second copy started.
    fn environment(pid: u32, buffer: &mut [u8]) -> Option<&[u8]> {
        let (times, pause) = AGAIN;
        let mut empty = 0;
        for _ in 0..times {
            let mut file = File::open(format!("/proc/{pid}/environ")).ok()?;
            match file.read(buffer) {
                Ok(0) => {}
                Ok(length) => return Some(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return None,
            }
            let stat = stat(pid).filter(|stat| alive(stat) && stat.flags & KERNEL_THREAD == 0)?;
            empty += u32::from(stat.environment_end != 0);
            if empty == EMPTY {
                return None;
            }
            std::thread::sleep(pause);
        }
        None
    }

    fn lookup(environment: &[u8], name: &str) -> Option<String> {
        environment.split(|byte| *byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_with_brackets_does_not_confuse() {
            let text = "42 (a) S (b) ) Z 1 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 23 24 25 26 27 28 29 30 \
                        31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 0";
            let stat = parse(text).unwrap();
            assert_eq!((stat.state, stat.group, stat.flags), ('Z', 42, 4_194_560));
            assert_eq!((stat.started, stat.environment_end), (987_654, 51));
            assert!(!alive(&stat));
            assert!(parse("nonsense").is_none() && parse("1 (x) R").is_none());
        }

        #[test]
        fn environments_are_searched_by_whole_names() {
            let environment = b"AB=1\0B=2\0C=x=y\0";
            assert_eq!(lookup(environment, "B").as_deref(), Some("2"));
            assert_eq!(lookup(environment, "C").as_deref(), Some("x=y"));
            assert_eq!(lookup(environment, "A"), None);
        }
    }
}

/// When `ps` says the process was started: to the second, which is what POSIX has to offer.
#[cfg(any(test, not(target_os = "linux")))]
fn by_ps(pid: u32) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_who_we_are_and_nobody_else() {
        let own = std::process::id();
        assert!(identity(own).is_some());
        assert_eq!(identity(own), identity(own));
        assert_ne!(identity(own), identity(1));
        assert_eq!(by_ps(own), by_ps(own));
        assert!(by_ps(own).is_some());
        // Above the largest id Linux gives out (2²²).
        assert_eq!(identity(5_000_000), None);
        assert_eq!(by_ps(5_000_000), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_execs_all_the_time_is_found_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("again");
        std::fs::write(&script, "exec /bin/sh \"$0\"\n").unwrap();
        let mark = script.to_str().unwrap().to_owned();
        let mut child = std::process::Command::new("/bin/sh")
            .arg(&script)
            .env("MOORING_TEST_MARK", &mark)
            .env("MOORING_TEST_ALSO", "7")
            .spawn()
            .unwrap();
        let missed = (0..300)
            .filter(|_| {
                let found = marked("MOORING_TEST_MARK", &mark, "MOORING_TEST_ALSO");
                !found.iter().any(|m| m.pid == child.id() && m.also.as_deref() == Some("7"))
            })
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missed, 0, "of 300 looks");
    }
}
