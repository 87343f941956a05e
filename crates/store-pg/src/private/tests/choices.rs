//! Which user and which arguments: pure decisions as tables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::account::{Me, Owned, choose};
use super::super::options::arguments;
use super::super::{Durability, Error, Options};
use super::options;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash
damaged
ada:x:1000:1001::/home/ada:/bin/bash
";

type Case<'a> = (u32, Option<&'a str>, &'a str, Option<u32>, Result<(&'a str, u32, bool), &'a str>);

#[test]
fn the_servers_user_follows_from_who_mooring_is_who_is_named_and_who_owns_the_cluster() {
    let without_postgres = PASSWD.replace("postgres:", "other:");
    // Mooring's user, run_as, passwd, the cluster's owner; the account (name, id, switch) or a part of the refusal.
    let table: [Case<'_>; 15] = [
        (0, None, PASSWD, None, Ok(("postgres", 101, true))),
        (0, None, &without_postgres, None, Ok(("nobody", 65534, true))),
        (0, None, "", None, Err("name one in run_as")),
        (0, Some("ada"), PASSWD, None, Ok(("ada", 1000, true))),
        (0, Some("1000"), PASSWD, None, Ok(("ada", 1000, true))),
        (0, Some("4242"), PASSWD, None, Ok(("user id 4242", 4242, true))),
        (0, Some("bob"), PASSWD, None, Err("no such user")),
        (0, Some("root"), PASSWD, None, Err("refuses to run as root")),
        (0, None, PASSWD, Some(1000), Ok(("ada", 1000, true))),
        (0, Some("postgres"), PASSWD, Some(1000), Err("chown -R")),
        (0, None, PASSWD, Some(0), Err("belongs to user id 0")),
        (1000, None, PASSWD, None, Ok(("ada", 1000, false))),
        (1000, Some("ada"), PASSWD, Some(1000), Ok(("ada", 1000, false))),
        (1000, Some("postgres"), PASSWD, None, Err("only root can switch")),
        (1000, None, PASSWD, Some(101), Err("Run Mooring as the owner")),
    ];
    for (me, run_as, passwd, owner, expected) in table {
        let owned = owner.map(|uid| Owned { cluster: Path::new("/c"), uid, gid: uid });
        let chosen = choose(Me { uid: me, gid: me }, run_as, passwd, owned);
        let case = format!("me {me}, run_as {run_as:?}, owner {owner:?}: {chosen:?}");
        match (chosen, expected) {
            (Ok(account), Ok(expected)) => {
                assert_eq!((&*account.name, account.uid, account.switch), expected, "{case}")
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{case}"),
            _ => panic!("{case}"),
        }
    }
}

fn given(options: &Options) -> Result<Vec<OsString>, Error> {
    arguments(Path::new("/data/my mooring/postgres"), Path::new("/run/a, \"b\""), options)
}

/// The value that the server takes: the last one wins.
fn value(arguments: &[OsString], name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    let mut values = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix(&prefix));
    values.next_back().map(str::to_owned)
}

#[test]
fn the_server_listens_on_a_closed_socket_alone() {
    let arguments = given(&options(Path::new("/data"))).unwrap();
    assert_eq!(value(&arguments, "listen_addresses").as_deref(), Some(""));
    assert_eq!(value(&arguments, "unix_socket_permissions").as_deref(), Some("0700"));
    assert_eq!(value(&arguments, "unix_socket_directories").as_deref(), Some("\"/run/a, \"\"b\"\"\""));
    assert_eq!(arguments[1].as_bytes(), b"/data/my mooring/postgres");
}

#[test]
fn only_a_throwaway_server_may_lose_commits() {
    let throwaway = given(&options(Path::new("/data"))).unwrap();
    let durable = given(&Options { durability: Durability::Durable, ..options(Path::new("/data")) }).unwrap();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(value(&throwaway, name).as_deref(), Some("off"));
        assert_eq!(value(&durable, name), None);
    }
}

#[test]
fn settings_override_except_those_that_open_the_server() {
    let with = |name: &str, value: &str| {
        given(&Options { settings: vec![(name.into(), value.into())], ..options(Path::new("/data")) })
    };
    let arguments = with("shared_buffers", "256MB").unwrap();
    assert_eq!(value(&arguments, "shared_buffers").as_deref(), Some("256MB"));
    assert!(with("pg_stat_statements.max", "100").is_ok());

    for refused in ["listen_addresses", "hba_file", "port", "LISTEN_ADDRESSES", "listen-addresses", "", "a b"]
    {
        assert!(matches!(with(refused, "*"), Err(Error::Setting { .. })), "{refused:?}");
    }
    assert!(matches!(with("search_path", "a\0b"), Err(Error::Setting { .. })));
}
