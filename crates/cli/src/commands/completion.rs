//! `mooring completion`.

use clap_complete::Shell;

use crate::context::Context;
use crate::failure::Outcome;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mooring completion bash > /etc/bash_completion.d/mooring
  mooring completion zsh > \"${fpath[1]}/_mooring\"
  mooring completion fish > ~/.config/fish/completions/mooring.fish")]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

impl Arguments {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        context.print(&String::from_utf8_lossy(&script(self.shell)))?;
        Ok(0)
    }
}

/// The script. Into memory first: writing to a closed pipe would be a panic in there.
fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "mooring", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            for word in ["explain", "reconnect", "unpause", "dry-run", "sessions", "drain", "resume"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
