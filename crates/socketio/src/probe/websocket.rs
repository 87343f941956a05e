//! Does the WebSocket transport work, and is a namespace joined?

use mooring_core::handshake::HandshakeReport;
use mooring_core::observation::Close;
use mooring_wire::Target;

use crate::client::{Client, ConnectError, Options, open};
use crate::endpoint::Way;
use crate::open::Open;

/// What was seen.
#[derive(Debug, Clone)]
pub struct WebSocket {
    /// Every step: the dial, the opening packet, the namespace.
    pub report: HandshakeReport,
    /// What the server said when it opened the session.
    pub open: Option<Open>,
    /// Whether the namespace was joined.
    pub joined: bool,
    /// Which layer refused.
    pub error: Option<ConnectError>,
    /// How the session ended after we left it.
    pub close: Option<Close>,
}

/// Opens a WebSocket session as the options say, joins the namespace, leaves it and closes the session properly. With
/// `join` false it goes no further than Engine.IO, and the application sees nobody.
pub async fn websocket(target: &Target, options: &Options, join: bool) -> WebSocket {
    let options = Options { way: Way::WebSocket, ..options.clone() };
    if !join {
        return match Box::pin(open(target, &options)).await {
            Ok(opened) => {
                let (report, open) = (opened.report().clone(), opened.opening().clone());
                let close = Some(opened.leave().await);
                WebSocket { report, open: Some(open), joined: false, error: None, close }
            }
            Err(error) => refused(*error),
        };
    }
    match Box::pin(Client::connect(target, &options)).await {
        Ok(client) => {
            let (report, open) = (client.report().clone(), client.opening().clone());
            let close = Some(client.close().await);
            WebSocket { report, open: Some(open), joined: true, error: None, close }
        }
        Err(error) => refused(*error),
    }
}

fn refused(error: ConnectError) -> WebSocket {
    WebSocket {
        report: error.report.clone(),
        open: error.open.clone(),
        joined: false,
        error: Some(error),
        close: None,
    }
}
