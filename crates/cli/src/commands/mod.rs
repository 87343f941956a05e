//! The commands. Each is one file with its arguments and what it does, and one line below.

mod agents;
mod asking;
mod close;
mod completion;
mod config;
mod doctor;
mod drain;
mod events;
mod explain;
mod gateways;
mod instances;
mod interrupting;
mod making;
mod orders;
mod pause;
mod pauses;
mod policies;
mod reconnect;
mod restart;
mod resume;
mod sessions;
mod status;
mod unpause;
mod version;
mod watch;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Outcome;
use crate::up;

macro_rules! commands {
    ($( $name:ident($arguments:ty); )*) => {
        /// What to do. The words of each command are those of its arguments' type, where clap takes them from.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command { $( $name($arguments), )* }

        impl Command {
            /// Does it, and gives the exit code.
            pub(crate) async fn run(self, context: &Context) -> Outcome {
                // Boxed one by one: together they would be one very large future.
                match self { $( Self::$name(arguments) => Box::pin(arguments.run(context)).await, )* }
            }
        }
    };
}

commands! {
    Up(up::Arguments);
    Status(status::Arguments);
    Instances(instances::Arguments);
    Gateways(gateways::Arguments);
    Sessions(sessions::Arguments);
    Agents(agents::Arguments);
    Explain(explain::Arguments);
    Doctor(doctor::Arguments);
    Watch(watch::Arguments);
    Events(events::Arguments);
    Orders(orders::Arguments);
    Reconnect(reconnect::Arguments);
    Restart(restart::Arguments);
    Close(close::Arguments);
    Drain(drain::Arguments);
    Resume(resume::Arguments);
    Pause(pause::Arguments);
    Pauses(pauses::Arguments);
    Unpause(unpause::Arguments);
    Policies(policies::Arguments);
    Config(config::Arguments);
    Completion(completion::Arguments);
    Version(version::Arguments);
}
