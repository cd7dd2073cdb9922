import type { Config } from "../../config/load.ts";

/** A file that the configuration names besides itself. */
export interface NamedFile {
  /** The key that names it. */
  readonly key: string;
  readonly name: string;
  /** Nobody else may read it. */
  readonly isSecret: boolean;
}

/** Every file with a password, key, token or certificate that a configuration names, each key once. */
export function namedFilesOf({ gateway }: Config): readonly NamedFile[] {
  const { bus, fleet, endpoints, mail } = gateway;
  const found: NamedFile[] = [];
  const add = (key: string, name: string | undefined, isSecret: boolean): void => {
    if (name !== undefined) found.push({ key, name, isSecret });
  };
  if (bus.kind === "embedded") {
    for (const [user, { passwordFile }] of Object.entries(bus.users))
      add(`bus.users.${user}.passwordFile`, passwordFile, true);
  } else {
    add("bus.passwordFile", bus.passwordFile, true);
    add("bus.tls.caFile", bus.tls?.caFile, false);
    add("bus.tls.certificateFile", bus.tls?.certificateFile, false);
    add("bus.tls.keyFile", bus.tls?.keyFile, true);
  }
  add("fleet.passwordFile", fleet?.passwordFile, true);
  add("fleet.tls.ca", fleet?.tls.ca, false);
  add("fleet.tls.certificate", fleet?.tls.certificate, false);
  add("fleet.tls.key", fleet?.tls.key, true);
  for (const [name, { secretFile, caFile }] of Object.entries(endpoints)) {
    add(`endpoints.${name}.secretFile`, secretFile, true);
    add(`endpoints.${name}.caFile`, caFile, false);
  }
  add("mail.passwordFile", mail?.passwordFile, true);
  add("mail.caFile", mail?.caFile, false);
  return found;
}
