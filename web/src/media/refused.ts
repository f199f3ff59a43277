/** Why a packet or frame was refused. Nothing of a refused one is shown, and it leaves no trace in the state of its stream. */
export type Reason =
  | "malformed" // it does not follow the format
  | "unknown-codec" // the browser does not say what is in a frame (Firefox before 153), or it is nothing that we can cover
  | "unknown-key" // no key is held under its KID or MKI
  | "unknown-stream" // nobody announced its SSRC
  | "not-authentic" // altered, forged, or protected with another key
  | "not-encrypted" // SRTCP with E = 0, which only a named unsafe choice accepts
  | "replayed" // it came before
  | "too-old" // older than the replay window reaches
  | "counter-used" // sending: this place in the stream was used already, or lies too far ahead for receivers
  | "key-exhausted"; // sending or receiving: the key or the counter has reached its limit

/** A packet or frame was refused. The text says expected and got, without keys, addresses or media. */
export class Refused extends Error {
  readonly reason: Reason;

  constructor(reason: Reason, text: string) {
    super(text);
    this.name = "Refused";
    this.reason = reason;
  }
}
