import type { CatalogueCheck } from "./catalogue.ts";

export const configurationChecks = {
  "configuration.file": {
    looksAt: "whether the configuration and conf.d are there and the service's user may read them",
    problems: {
      missing: {
        severity: "error",
        when: "there is no such file",
        todo: "Name it with --config FILE, or begin with `cp /usr/share/holdfast/examples/this-machine/holdfast.yaml /etc/holdfast/`.",
      },
      unreadable: {
        severity: "error",
        when: "the service's user may not read it",
        todo: "Run `chown root:{group} {file} && chmod 0640 {file}` (a folder: 0750).",
      },
    },
  },
  "configuration.mistakes": {
    looksAt:
      "every mistake that `holdfast check-config` finds; the other checks go on with the last configuration that worked",
    problems: {
      mistake: {
        severity: "error",
        when: "the file has mistakes; told with file, line and column",
        todo: "Correct it, see that `holdfast check-config {file}` is content, and run `systemctl restart holdfast`.",
      },
    },
  },
  "configuration.last-good": {
    looksAt: "whether a copy of the last configuration that worked is kept, and whether the daemon runs with it",
    problems: {
      "in-use": {
        severity: "warning",
        when: "the daemon runs with the kept copy, not with the file",
        todo: "Correct the file (`holdfast check-config` lists its mistakes), then run `systemctl restart holdfast`.",
      },
      none: {
        severity: "error",
        when: "the file has mistakes, and no copy that worked is kept",
        todo: "Correct the file (`holdfast check-config`): until then the service does not start.",
      },
    },
  },
  "configuration.credentials": {
    looksAt:
      "each file with a password, key, token or certificate that the configuration names: in $CREDENTIALS_DIRECTORY, by LoadCredential= of the service, or beside the configuration",
    problems: {
      missing: {
        severity: "error",
        when: "the file is not there",
        todo: "Write the secret to {file}, and for a plain name give it to the service with LoadCredential={name}:{file} (`systemctl edit holdfast`).",
      },
      empty: {
        severity: "error",
        when: "the file is empty",
        todo: "Write the secret into {file}, on one line.",
      },
      exposed: {
        severity: "error",
        when: "everybody on the machine may read a secret; the daemon refuses it",
        todo: "Run `chmod o-rwx {file}`, and change the secret if others have accounts here.",
      },
      unreadable: {
        severity: "error",
        when: "the service's user may not read it",
        todo: "Run `chgrp {group} {file} && chmod 0640 {file}`, or give it to the service with LoadCredential=.",
      },
    },
  },
  "configuration.models": {
    looksAt:
      "each model that an agent names: its file against the digest, and one inference with its golden input in a host of its own",
    problems: {
      unusable: {
        severity: "error",
        when: "it is missing, or its file is not the one its manifest names",
        todo: "Bring the model's folder again and take it in with `holdfast models add FOLDER` (one that came with Holdfast: install the package again).",
      },
      fails: {
        severity: "error",
        when: "it does not load, or gives no answer to its golden input",
        todo: "Try it on another machine with `holdfast models add FOLDER`; where it works there, look at machine.memory and machine.cpu here.",
      },
    },
  },
} as const satisfies Readonly<Record<string, CatalogueCheck>>;
