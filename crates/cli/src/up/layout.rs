//! The data folder: which files are in it, which are written now, and what is taken from the command line.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use mooring_core::cause::Lang;
use mooring_runtime::process::ConfigArgs;

use super::{Arguments, files};
use crate::failure::{Failure, Outcome};
use crate::text::either;

/// The sample gateway's program.
const SAMPLE: &str = "mooring-sample-gateway";
/// The ports the demonstration's gateways get if they are free.
const DEMO_PORTS: [u16; 3] = [7650, 7651, 7652];
/// The ports of API, agents and health page, as everywhere.
const PORTS: [u16; 3] = [7600, 7601, 7602];
/// A log larger than this (in bytes) is put aside at the next start.
const LOG_LIMIT: u64 = 10 << 20;

/// Where everything is, and what it is started with.
#[derive(Debug)]
pub(super) struct Layout {
    /// The data folder, absolute.
    pub(super) data: PathBuf,
    /// The controller's configuration and what overrides it.
    pub(super) controller: ConfigArgs,
    /// The agent's.
    pub(super) agent: ConfigArgs,
    /// Whether the data folder is new.
    pub(super) first: bool,
    written: Vec<&'static str>,
    /// A demonstration was asked for, but there is an `agent.toml` already that is none.
    kept: bool,
}

impl Layout {
    /// Makes the folder and writes what is missing.
    pub(super) fn settle(args: &Arguments) -> Outcome<Self> {
        let data = std::path::absolute(&args.data_dir).map_err(|e| cannot("find", &args.data_dir, &e))?;
        std::fs::create_dir_all(&data).map_err(|e| cannot("make the folder", &data, &e))?;
        let own = |name: &str| data.join(name);
        let first = !own("controller.toml").exists();
        let mut written = Vec::new();
        let listen = [args.api, args.agents, args.health];
        let defaults: [SocketAddr; 3] = std::array::from_fn(|i| {
            // A port that is chosen anew at each start is not for a file.
            listen[i].filter(|a| a.port() != 0).unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS[i])))
        });
        let mut write = |name: &'static str, content: &str| -> Outcome<()> {
            if write_new(&own(name), content)? {
                written.push(name);
            }
            Ok(())
        };
        if args.config.is_none() {
            write("policy.toml", &files::policy(args.demo))?;
            write("controller.toml", &files::controller(&data, defaults))?;
        }
        let is_demo = || std::fs::read_to_string(own("agent.toml")).is_ok_and(|text| text.contains(SAMPLE));
        let kept = args.demo && args.agent_config.is_none() && own("agent.toml").exists() && !is_demo();
        if args.agent_config.is_none() && !own("agent.toml").exists() {
            let demo = match args.demo {
                true => Some((sample_program()?, free_ports(DEMO_PORTS)?)),
                false => None,
            };
            let demo = demo.as_ref().map(|(program, ports)| (program.as_path(), *ports));
            write("agent.toml", &files::agent(&data, defaults[1], demo))?;
        }
        let keys = ["api.listen", "agents.listen", "health.listen"];
        let set =
            keys.iter().zip(listen).filter_map(|(key, address)| Some(format!("{key}=\"{}\"", address?)));
        Ok(Self {
            controller: ConfigArgs {
                config: Some(args.config.clone().unwrap_or_else(|| own("controller.toml"))),
                set: set.collect(),
            },
            agent: ConfigArgs {
                config: Some(args.agent_config.clone().unwrap_or_else(|| own("agent.toml"))),
                set: Vec::new(),
            },
            data,
            first,
            written,
            kept,
        })
    }

    /// What there is to say about it.
    pub(super) fn words(&self, lang: Lang) -> Vec<String> {
        let mut lines = vec![format!(
            "{} {}",
            either(lang, "Everything is kept in", "所有数据保存在"),
            self.data.display()
        )];
        if !self.written.is_empty() {
            let written = self.written.join(", ");
            lines.push(match lang {
                Lang::En => format!("Written there, for you to look at and edit: {written}"),
                Lang::ZhCn => format!("已写入以下文件，可自行查看和修改：{written}"),
            });
        }
        if self.kept {
            lines.push(
                either(
                    lang,
                    "There is an agent.toml already: it is used as it is (another --data-dir makes a new demonstration)",
                    "已存在 agent.toml，将按原样使用（换一个 --data-dir 可重新生成演示配置）",
                )
                .to_owned(),
            );
        }
        lines
    }

    /// The log's path.
    pub(super) fn log(&self) -> PathBuf {
        self.data.join("mooring.log")
    }

    /// Opens the log for appending; one that has grown large is put aside first.
    pub(super) fn open_log(&self) -> Outcome<File> {
        let path = self.log();
        if std::fs::metadata(&path).is_ok_and(|m| m.len() > LOG_LIMIT) {
            std::fs::rename(&path, self.data.join("mooring.log.1"))
                .map_err(|e| cannot("put aside", &path, &e))?;
        }
        OpenOptions::new().create(true).append(true).open(&path).map_err(|e| cannot("write", &path, &e))
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Problem(format!("cannot {what} {}: {error}; --data-dir names another folder", path.display()))
}

/// Writes a file that is not there yet. Whole or not at all: half a configuration would stay for ever.
fn write_new(path: &Path, content: &str) -> Outcome<bool> {
    if path.exists() {
        return Ok(false);
    }
    let partial = path.with_extension("toml.new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|e| cannot("write", path, &e))?;
    Ok(true)
}

/// The sample gateway: beside this program, else in PATH.
fn sample_program() -> Outcome<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(SAMPLE)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(SAMPLE));
    beside.into_iter().chain(in_path).find(|program| program.is_file()).ok_or_else(|| {
        Failure::Problem(format!(
            "the demonstration needs the program {SAMPLE}, which is neither beside this one nor in PATH; \
             `cargo build -p {SAMPLE}` builds it"
        ))
    })
}

/// The preferred ports where they are free, others where not. They are kept in `agent.toml`: a gateway's address does not
/// change from start to start.
fn free_ports(preferred: [u16; 3]) -> Outcome<[u16; 3]> {
    let mut ports = preferred;
    // All are held until the last is found, so that none is given twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .map_err(|e| Failure::Problem(format!("no free port on 127.0.0.1: {e}")))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(data: &Path) -> Arguments {
        Arguments {
            data_dir: data.to_owned(),
            demo: false,
            api: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            agents: None,
            health: None,
            config: None,
            agent_config: None,
            plain: false,
        }
    }

    #[test]
    fn a_second_start_finds_the_files_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Layout::settle(&arguments(folder.path())).unwrap();
        assert!(first.first);
        assert_eq!(first.written, ["policy.toml", "controller.toml", "agent.toml"]);
        assert_eq!(first.controller.set, ["api.listen=\"127.0.0.1:0\""]);
        let controller = folder.path().join("controller.toml");
        let text = std::fs::read_to_string(&controller).unwrap();
        assert!(
            text.contains("listen = \"127.0.0.1:7600\""),
            "a port chosen anew is not for the file:\n{text}"
        );
        std::fs::write(&controller, "# mine\n").unwrap();
        let second = Layout::settle(&arguments(folder.path())).unwrap();
        assert!(!second.first && second.written.is_empty());
        assert_eq!(std::fs::read_to_string(&controller).unwrap(), "# mine\n");
        assert!(!folder.path().join("controller.toml.new").exists());
    }

    #[test]
    fn files_of_ones_own_are_used_and_none_is_written_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = arguments(folder.path());
        args.config = Some("/etc/c.toml".into());
        args.agent_config = Some("/etc/a.toml".into());
        let layout = Layout::settle(&args).unwrap();
        assert!(layout.written.is_empty());
        assert_eq!(layout.controller.config.as_deref(), Some(Path::new("/etc/c.toml")));
        assert_eq!(layout.agent.config.as_deref(), Some(Path::new("/etc/a.toml")));
    }

    #[test]
    fn a_port_that_is_taken_is_replaced_and_none_is_given_twice() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = free_ports([port, 0, 0]).unwrap();
        assert!(!ports.contains(&port));
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::settle(&arguments(folder.path())).unwrap();
        File::create(layout.log()).unwrap().set_len(LOG_LIMIT + 1).unwrap();
        layout.open_log().unwrap();
        assert_eq!(std::fs::metadata(layout.log()).unwrap().len(), 0);
        assert!(folder.path().join("mooring.log.1").exists());
    }
}
