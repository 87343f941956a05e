//! Asking before something is done that interrupts more than one session.
//!
//! Who cannot be asked must have said yes beforehand: a script either always works or never does, whatever the fleet
//! looks like just then.

use mooring_proto::v1::CreateOrderRequest;

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::text::Text;

/// Whether somebody is to be asked; refused where nobody can be.
pub(super) fn asks(context: &Context, yes: bool, dry_run: bool) -> Outcome<bool> {
    let asks = !yes && !dry_run;
    if asks && !context.interactive {
        return Err(Failure::Usage(
            "there is nobody to ask here: say --yes to do it without asking, or --dry-run to see the plan"
                .into(),
        ));
    }
    Ok(asks)
}

/// Asks the gates what they would say: nobody should be asked about what will not be done anyhow.
pub(super) async fn check(client: &Client, request: &CreateOrderRequest) -> Outcome<()> {
    let check = CreateOrderRequest {
        validate_only: true,
        request_id: uuid::Uuid::new_v4().to_string(),
        ..request.clone()
    };
    client.call(client.orders().create_order(check)).await.map(|_| ())
}

/// Asks on standard error and reads the answer; anything but yes is no, and so is the end of input.
pub(super) async fn agreed(context: &Context, question: Text) -> Outcome<bool> {
    context.note(&format!("{} [y/N]", question.of(context.lang())));
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await.map_err(|e| Failure::Problem(e.to_string()))??;
    let yes = is_yes(&line);
    if !yes {
        context.note(Text::NotDone.of(context.lang()));
    }
    Ok(yes)
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes" | "是")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", " Yes \n", "是\n"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yep\n", "yes please\n"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
