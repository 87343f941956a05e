//! The TLS handshake, and its failures in words that name the way out: an expired certificate is renewed, a wrong name
//! is configured, a certificate of the future is a wrong clock.

use std::time::Duration;

use mooring_core::cause::Cause;
use mooring_core::classify::IoFault;
use mooring_core::handshake::{Refusal, Step};
use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use rustls_pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::record::Recorder;
use super::{Failure, refuse_io};
use crate::target::Target;
use crate::transport::{Deadlined, Transport};

pub(super) async fn handshake(
    target: &Target,
    tcp: TcpStream,
    recorder: &mut Recorder,
) -> Result<Transport, Box<Failure>> {
    let (config, name) = match target.tls_parts() {
        Ok(parts) => parts,
        Err(error) => {
            let refusal = Refusal { step: Step::Tls, cause: Cause::TlsFailed, message: error.to_string() };
            return Err(Failure::over(refusal, Transport::plain(tcp)));
        }
    };
    let shown = name.to_str().into_owned();
    let stream = Deadlined::new(tcp, Instant::now() + target.timeouts.tls);
    match TlsConnector::from(config).connect(name, stream).into_fallible().await {
        Ok(mut stream) => {
            stream.get_mut().0.relax();
            let session = stream.get_ref().1;
            let version = session.protocol_version().and_then(|v| v.as_str()).unwrap_or("TLS");
            let suite =
                session.negotiated_cipher_suite().and_then(|s| s.suite().as_str()).unwrap_or("unknown suite");
            recorder.done(Step::Tls, &format!("{version}, {suite}, certificate valid for {shown}"));
            Ok(Transport::tls(stream))
        }
        Err((error, stream)) => {
            let refusal = refuse_io(&error, Step::Tls, recorder);
            Err(Failure::over(refusal, Transport::plain(stream.into_inner())))
        }
    }
}

/// Which kind of wrong a certificate is.
pub(super) fn certificate_fault(problem: &CertificateError) -> IoFault {
    use CertificateError as E;
    match problem {
        E::Expired | E::ExpiredContext { .. } => IoFault::CertificateExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => IoFault::CertificateEarly,
        E::NotValidForName | E::NotValidForNameContext { .. } => IoFault::CertificateName,
        E::UnknownIssuer | E::BadSignature => IoFault::CertificateUntrusted,
        // A self-signed certificate that is used as a server's own: webpki's words for "this is a CA".
        other if other.to_string().contains("CaUsedAsEndEntity") => IoFault::CertificateUntrusted,
        _ => IoFault::Certificate,
    }
}

/// Which kind of failure another TLS error is.
pub(super) fn fault(error: &rustls::Error) -> IoFault {
    match error {
        rustls::Error::InvalidMessage(_) => IoFault::NotTls,
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => IoFault::TlsVersion,
        _ => IoFault::Tls,
    }
}

/// What is wrong with a certificate.
pub(super) fn certificate_words(problem: &CertificateError) -> String {
    use CertificateError as E;
    match problem {
        E::Expired => "it has expired; renew it".to_owned(),
        E::ExpiredContext { time, not_after } => {
            format!("it expired {} ago; renew it", apart(*not_after, *time))
        }
        E::NotValidYet => "it is not valid yet; is a clock wrong?".to_owned(),
        E::NotValidYetContext { time, not_before } => {
            format!("it is not valid yet, but in {}; is a clock wrong?", apart(*time, *not_before))
        }
        E::NotValidForName => "it is made for another name; correct the host or the server name".to_owned(),
        E::NotValidForNameContext { expected, presented } => {
            let presented = presented.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            format!("it is made for another name: {presented}, not for {}", expected.to_str())
        }
        E::UnknownIssuer => {
            "it is not trusted: self-signed, or of a CA that the agent was not given".to_owned()
        }
        E::BadSignature => {
            "it is not trusted: signed with another key than that of the CA the agent was given".to_owned()
        }
        E::Revoked => "it was revoked; replace it".to_owned(),
        other => format!("it is not accepted ({other})"),
    }
}

/// Other TLS errors: rustls' words, without a final stop.
pub(super) fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "what answers is not TLS".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("the gateway sent the alert {alert:?}"),
        other => other.to_string(),
    }
}

fn apart(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        _ => mooring_core::time::human::format(Duration::from_secs(seconds)),
    }
}
