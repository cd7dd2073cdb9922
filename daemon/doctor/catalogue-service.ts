import type { CatalogueCheck } from "./catalogue.ts";

export const serviceChecks = {
  "service.unit": {
    looksAt: "whether systemd has the service, and starts it at boot",
    problems: {
      missing: {
        severity: "error",
        when: "there is no unit although the configuration is the package's",
        todo: "Install the package again: `dpkg -i holdfast_VERSION_ARCH.deb`.",
      },
      broken: {
        severity: "error",
        when: "systemd can not load the unit",
        todo: "Run `systemd-analyze verify holdfast.service`, correct the drop-in it names, then `systemctl daemon-reload`.",
      },
      masked: {
        severity: "error",
        when: "it is masked",
        todo: "Run `systemctl unmask holdfast && systemctl enable --now holdfast`.",
      },
      disabled: {
        severity: "warning",
        when: "it does not start at boot",
        todo: "Run `systemctl enable holdfast`.",
      },
      outdated: {
        severity: "warning",
        when: "its files were changed, and systemd has not read them since",
        todo: "Run `systemctl daemon-reload && systemctl restart holdfast`.",
      },
    },
  },
  "service.drop-in": {
    looksAt: "what systemd says of the unit and its drop-ins: `systemd-analyze verify`",
    problems: {
      bad: {
        severity: "warning",
        when: "it ignores a line, or can not use it",
        todo: "Correct the line in {file}, then run `systemctl daemon-reload && systemctl restart holdfast`.",
      },
    },
  },
  "service.state": {
    looksAt: "whether the service runs, how often it was started anew, and how it ended",
    problems: {
      "bad-configuration": {
        severity: "error",
        when: "it ended with 78: the configuration has mistakes, and none that worked is kept",
        todo: "Correct what `holdfast check-config` lists, then run `systemctl start holdfast`.",
      },
      failed: {
        severity: "error",
        when: "it failed, or starts over and over",
        todo: "Read why in `journalctl -u holdfast -n 50`, then run `systemctl restart holdfast`.",
      },
      stopped: {
        severity: "warning",
        when: "it does not run",
        todo: "Run `systemctl start holdfast`.",
      },
      restarted: {
        severity: "warning",
        when: "it runs, and was started anew more than 5 times since the last start by hand",
        todo: "Read why it ended in `journalctl -u holdfast -p warning`; `systemctl restart holdfast` counts from 0 again.",
      },
    },
  },
  "service.watchdog": {
    looksAt: "whether systemd ends a daemon that hangs (WatchdogSec)",
    problems: {
      off: {
        severity: "warning",
        when: "it is off",
        todo: "Take WatchdogSec= out of the drop-ins (`systemctl cat holdfast` shows them), then `systemctl daemon-reload && systemctl restart holdfast`.",
      },
    },
  },
  "service.version": {
    looksAt: "whether the installed version runs, or the one before it since that one did not stay up",
    problems: {
      returned: {
        severity: "error",
        when: "the version before runs",
        todo: "Read why in `journalctl -u holdfast -p warning`, then install a version that runs, or try this one again by installing its package once more.",
      },
    },
  },
  "service.daemon": {
    looksAt: "who holds the data directory's lock, and whether it answers on its socket",
    problems: {
      hangs: {
        severity: "error",
        when: "a process holds the lock and does not answer",
        todo: "Run `systemctl restart holdfast` (or, when it is not the service's, end process {pid}).",
      },
    },
  },
  "service.bus": {
    looksAt: "whether the daemon that runs is connected to its bus",
    problems: {
      disconnected: {
        severity: "warning",
        when: "it is not: it tries again by itself",
        todo: "Follow what the checks of connectivity say; when they are content, see `journalctl -u holdfast -p warning`.",
      },
    },
  },
  "service.models": {
    looksAt: "whether the daemon's inference hosts have the models ready",
    problems: {
      unready: {
        severity: "error",
        when: "a model gives no answers: its agents take their fallback",
        todo: "Read why the host was lost in `journalctl -u holdfast -p warning`; take back the drop-in or the model that came last.",
      },
    },
  },
  "service.latch": {
    looksAt: "whether `holdfast stop` holds all effects back, and on whose word",
    problems: {
      set: {
        severity: "warning",
        when: "effects are stopped",
        todo: "When the reason is gone, an operator runs `holdfast release --nonce {nonce}`.",
      },
      lost: {
        severity: "error",
        when: "its file is missing or damaged, which stops effects too",
        todo: "Find out who removed or changed {file}, then `systemctl restart holdfast` and `holdfast release`.",
      },
    },
  },
  "service.mode": {
    looksAt: "what the gateway may do: observe, dryRun, approve or auto",
    problems: {},
  },
  "service.outbox": {
    looksAt: "how old the oldest record is that the fleet does not have yet, in the database",
    problems: {
      old: {
        severity: "warning",
        when: "it has waited for more than a day",
        todo: "See why with `holdfast link` and `holdfast outbox`, and follow what the checks of connectivity say.",
      },
    },
  },
} as const satisfies Readonly<Record<string, CatalogueCheck>>;
