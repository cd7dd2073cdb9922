/** The least of MQTT 3.1.1 that a publisher needs, made once and patched for each message. */
export function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const body = Buffer.concat([Buffer.from([0, 4]), Buffer.from("MQTT"), Buffer.from([4, 2, 0, 0, 0, id.length]), id]);
  return Buffer.concat([Buffer.from([0x10]), lengthBytes(body.length), body]);
}

export interface PublishTemplate {
  readonly bytes: Buffer;
  /** Where the 13 digits of `ts` begin. */
  readonly timeAt: number;
  /** Where the packet identifier stands; -1 at QoS 0. */
  readonly idAt: number;
}

const TIME_MARK = "1000000000000";

export function publishTemplate(
  topic: string,
  qos: 0 | 1,
  key: string,
  fields: readonly string[],
  values: readonly number[],
): PublishTemplate {
  const numbers = fields.map((field, at) => `${JSON.stringify(field)}:${values[at]}`).join(",");
  const payload = Buffer.from(`{"key":${JSON.stringify(key)},"ts":${TIME_MARK},${numbers}}`);
  const name = Buffer.from(topic);
  const head = Buffer.concat([
    Buffer.from([name.length >> 8, name.length & 255]),
    name,
    Buffer.alloc(qos === 1 ? 2 : 0),
  ]);
  const start = Buffer.concat([Buffer.from([0x30 | (qos << 1)]), lengthBytes(head.length + payload.length)]);
  const bytes = Buffer.concat([start, head, payload]);
  return { bytes, timeAt: bytes.indexOf(TIME_MARK), idAt: qos === 1 ? start.length + head.length - 2 : -1 };
}

/** Copies a template to `target` with its time and identifier; returns where the next one goes. */
export function writePublish(
  target: Buffer,
  at: number,
  template: PublishTemplate,
  timeMs: number,
  packetId: number,
): number {
  template.bytes.copy(target, at);
  let rest = timeMs;
  for (let digit = at + template.timeAt + 12; digit >= at + template.timeAt; digit--) {
    const next = Math.floor(rest / 10);
    target[digit] = 48 + rest - next * 10;
    rest = next;
  }
  if (template.idAt >= 0) target.writeUInt16BE(packetId, at + template.idAt);
  return at + template.bytes.length;
}

export function lengthBytes(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  do {
    const low = rest & 127;
    rest >>= 7;
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Counts PUBACK packets in a stream; anything else than CONNACK and PUBACK is an error. */
export class AckCounter {
  acknowledged = 0;
  isConnected = false;
  #skip = 0;
  #refusal = 0;

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at++) {
      if (this.#skip > 0) {
        this.#skip -= 1;
        // The last byte of CONNACK is the return code.
        if (this.#skip === 0 && !this.isConnected) this.#refusal = chunk[at] as number;
        if (this.#skip === 0 && this.#refusal !== 0)
          throw new Error(`the broker refused the publisher: ${this.#refusal}`);
        if (this.#skip === 0) {
          if (this.isConnected) this.acknowledged += 1;
          this.isConnected = true;
        }
        continue;
      }
      const type = (chunk[at] as number) >> 4;
      if (type !== 2 && type !== 4) throw new Error(`the broker sent the publisher a packet of type ${type}`);
      this.#skip = 3;
    }
  }
}
