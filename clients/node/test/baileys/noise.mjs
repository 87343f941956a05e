// The server's half of WhatsApp's Noise handshake (XX, 25519, AES-GCM, SHA-256), and a root to sign its certificate with.
//
// Baileys holds the initiator's half only. Primitives and the messages' codec are its own, so that a new version that
// speaks another dialect is not answered in the old one. Since 7.0.0-rc13 it checks that the certificate's chain leads to
// WhatsApp's root, whose public key it exports in an object that can be changed: `trustOurRoot` puts a key there whose
// private half is no secret. Call it before the first socket connects.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';

import { aesDecryptGCM, aesEncryptGCM, Curve, hkdf, NOISE_MODE, NOISE_WA_HEADER, proto, sha256, WA_CERT_DETAILS } from 'baileys';

/** The same in every process, for a bot and a server that are not in one. */
const ROOT = keyPair(createHash('sha256').update('a root for tests').digest());
const STATIC = Curve.generateKeyPair();
const NOTHING = Buffer.alloc(0);
/** Longest frame taken; what a bot sends to us is a few hundred bytes, its first pre-keys some 60 kB. */
const MAX_FRAME = 1 << 20;

export function trustOurRoot() {
  WA_CERT_DETAILS.PUBLIC_KEY = ROOT.public;
}

function keyPair(seed) {
  const header = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const key = createPrivateKey({ key: Buffer.concat([header, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return { private: seed, public: spki.subarray(-32) };
}

/** Root, intermediate, leaf; the leaf's key is the handshake's static one. */
function certificate() {
  const { Details } = proto.CertChain.NoiseCertificate;
  const intermediate = Curve.generateKeyPair();
  const signed = (key, details) => {
    const bytes = Details.encode(details).finish();
    return { details: bytes, signature: Curve.sign(key, bytes) };
  };
  return proto.CertChain.encode({
    intermediate: signed(ROOT.private, { serial: 1, issuerSerial: WA_CERT_DETAILS.SERIAL, key: intermediate.public }),
    leaf: signed(intermediate.private, { serial: 2, issuerSerial: 1, key: STATIC.public }),
  }).finish();
}

/** Length-prefixed frames out of a stream of bytes; the first bytes of a connection are a header of their own. */
export class Frames {
  #rest = NOTHING;
  #intro = true;

  /** What is complete after these bytes. */
  *take(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.#intro) {
      // Where the account was routed before, that comes first: ED, a version, a length.
      if (this.#rest.subarray(0, 2).toString() === 'ED') {
        const length = this.#rest.readUIntBE(4, 3);
        this.#rest = this.#rest.subarray(7 + length);
      }
      if (!this.#rest.subarray(0, 4).equals(NOISE_WA_HEADER)) throw new Error('this is no WhatsApp client');
      this.#rest = this.#rest.subarray(4);
      this.#intro = false;
    }
    while (this.#rest.length >= 3) {
      const length = this.#rest.readUIntBE(0, 3);
      if (length > MAX_FRAME) throw new Error(`a frame of ${length} bytes`);
      if (this.#rest.length < 3 + length) return;
      const frame = this.#rest.subarray(3, 3 + length);
      this.#rest = this.#rest.subarray(3 + length);
      yield frame;
    }
  }

  static frame(bytes) {
    const length = Buffer.alloc(3);
    length.writeUIntBE(bytes.length, 0, 3);
    return Buffer.concat([length, bytes]);
  }
}

/** One connection's secrets. Give it the client's hello, then its finish; after that it seals and opens. */
export class Responder {
  #ephemeral = Curve.generateKeyPair();
  #hash;
  #salt;
  #key;
  #counter = 0;
  #sending;
  #receiving;
  #sent = 0;
  #received = 0;

  constructor() {
    const mode = Buffer.from(NOISE_MODE);
    this.#hash = mode.length === 32 ? mode : sha256(mode);
    this.#salt = this.#hash;
    this.#key = this.#hash;
    this.#authenticate(NOISE_WA_HEADER);
  }

  /** The client's hello; gives the answer. */
  hello(frame) {
    const { clientHello } = proto.HandshakeMessage.decode(frame);
    this.#authenticate(clientHello.ephemeral);
    this.#authenticate(this.#ephemeral.public);
    this.#mix(Curve.sharedKey(this.#ephemeral.private, clientHello.ephemeral));
    const fixed = this.#encrypt(STATIC.public);
    this.#mix(Curve.sharedKey(STATIC.private, clientHello.ephemeral));
    const payload = this.#encrypt(certificate());
    const serverHello = { ephemeral: this.#ephemeral.public, static: fixed, payload };
    return proto.HandshakeMessage.encode({ serverHello }).finish();
  }

  /** The client's last message of the handshake; gives who it says it is. */
  finish(frame) {
    const { clientFinish } = proto.HandshakeMessage.decode(frame);
    const fixed = this.#decrypt(clientFinish.static);
    this.#mix(Curve.sharedKey(this.#ephemeral.private, fixed));
    const payload = proto.ClientPayload.decode(this.#decrypt(clientFinish.payload));
    [this.#receiving, this.#sending] = this.#derive(NOTHING);
    return payload;
  }

  seal(bytes) {
    return aesEncryptGCM(bytes, this.#sending, iv(this.#sent++), NOTHING);
  }

  open(frame) {
    return aesDecryptGCM(frame, this.#receiving, iv(this.#received++), NOTHING);
  }

  #authenticate(bytes) {
    this.#hash = sha256(Buffer.concat([this.#hash, bytes]));
  }

  #encrypt(bytes) {
    const sealed = aesEncryptGCM(bytes, this.#key, iv(this.#counter++), this.#hash);
    this.#authenticate(sealed);
    return sealed;
  }

  #decrypt(sealed) {
    const bytes = aesDecryptGCM(sealed, this.#key, iv(this.#counter++), this.#hash);
    this.#authenticate(sealed);
    return bytes;
  }

  #derive(secret) {
    const key = hkdf(Buffer.from(secret), 64, { salt: this.#salt, info: '' });
    return [key.subarray(0, 32), key.subarray(32)];
  }

  #mix(secret) {
    [this.#salt, this.#key] = this.#derive(secret);
    this.#counter = 0;
  }
}

function iv(counter) {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(counter, 8);
  return bytes;
}
