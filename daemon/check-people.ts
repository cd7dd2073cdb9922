import { createPublicKey, type KeyObject } from "node:crypto";
import type { LoadedConfig } from "../config/load.ts";
import type { Problem } from "../config/problems.ts";

/** What says who somebody is may be said of one person alone: two with the same key would be one who says yes twice. */
export function checkPeople(loaded: LoadedConfig, problems: Problem[]): void {
  const owners = new Map<string, string>();
  for (const [name, person] of Object.entries(loaded.config.gateway.people)) {
    const key = person.publicKey === undefined ? undefined : ed25519Key(person.publicKey);
    if (person.publicKey !== undefined && key === undefined) {
      const hint = "Make one with: openssl pkey -in KEY -pubout -outform DER | base64 -w0";
      problems.push(loaded.problemAt(["people", name, "publicKey"], "this is no Ed25519 key", hint));
    }
    const known = {
      localUser: person.localUser,
      tokenHash: person.tokenHash,
      publicKey: key?.export({ format: "der", type: "spki" }).toString("hex"),
    };
    if (Object.values(known).every((value) => value === undefined) && person.publicKey === undefined) {
      const hint = "Give them one of localUser, tokenHash and publicKey.";
      problems.push(loaded.problemAt(["people", name], "nothing says who this is: nobody could act as them", hint));
    }
    for (const [field, value] of Object.entries(known)) {
      if (value === undefined) continue;
      const owner = owners.get(`${field} ${value}`);
      owners.set(`${field} ${value}`, owner ?? name);
      if (owner === undefined) continue;
      const message = `it is ${owner}'s too: the gateway could not tell them apart`;
      problems.push(loaded.problemAt(["people", name, field], message));
    }
  }
}

function ed25519Key(text: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    // Not a key at all.
    return undefined;
  }
}
