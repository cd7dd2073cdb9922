import { becomes } from "../claims.ts";
import { UNIT } from "../service/steps.ts";
import type { Case } from "./case.ts";
import { DATA, FILE } from "./site.ts";

export const serviceCases: readonly Case[] = [
  {
    ...{ name: "effects are stopped", check: "service.latch", problem: "set", todo: "holdfast release --nonce" },
    break: (site) => void site.sh(`holdfast stop "the pump is being repaired" --config ${FILE}`),
    mend: (site) => void site.sh(`holdfast release --config ${FILE}`),
  },
  {
    ...{ name: "the latch's file is gone", check: "service.latch", problem: "lost", todo: "holdfast release" },
    break: (site) => {
      site.stop();
      site.save(`${DATA}/latch`);
      site.sh(`rm ${DATA}/latch`);
    },
    mend: async (site) => {
      site.restore(`${DATA}/latch`);
      await site.start();
    },
  },
  {
    ...{ name: "the service is stopped", check: "service.state", problem: "stopped", todo: "systemctl start holdfast" },
    break: (site) => site.stop(),
    mend: (site) => site.start(),
  },
  {
    ...{
      name: "the service is disabled",
      check: "service.unit",
      problem: "disabled",
      todo: "systemctl enable holdfast",
    },
    break: (site) => void site.machine.run("systemctl", "disable", UNIT),
    mend: (site) => void site.machine.run("systemctl", "enable", UNIT),
  },
  {
    ...{ name: "the service is masked", check: "service.unit", problem: "masked", todo: "systemctl unmask holdfast" },
    break: (site) => void site.machine.run("systemctl", "mask", UNIT),
    mend: (site) => void site.machine.run("systemctl", "unmask", UNIT),
  },
  {
    ...{ name: "the unit's file is gone", check: "service.unit", problem: "missing", todo: "dpkg -i" },
    break: (site) => {
      site.stop();
      site.sh(
        `f=$(systemctl show ${UNIT} -p FragmentPath --value); mv $f /srv/unit; rm -rf /srv/dropins; mv /etc/systemd/system/${UNIT}.d /srv/dropins; systemctl daemon-reload`,
      );
    },
    mend: async (site) => {
      site.sh(
        `cp -a /srv/unit /usr/lib/systemd/system/${UNIT}; mv /srv/dropins /etc/systemd/system/${UNIT}.d; systemctl daemon-reload`,
      );
      await site.start();
    },
  },
  {
    ...{
      name: "a drop-in with an unknown key",
      check: "service.drop-in",
      problem: "bad",
      todo: "/etc/systemd/system/holdfast.service.d/bad.conf",
    },
    break: (site) => site.dropIn("bad", "[Service]\nMemoryMaximum=1G\n"),
    mend: (site) => site.removeDropIn("bad"),
  },
  {
    ...{
      name: "a drop-in that breaks the unit",
      check: "service.unit",
      problem: "broken",
      todo: "systemd-analyze verify",
    },
    break: (site) => site.dropIn("bad", "[Service]\nExecStart=\n"),
    mend: (site) => site.removeDropIn("bad"),
  },
  {
    ...{
      name: "a drop-in that systemd has not read",
      check: "service.unit",
      problem: "outdated",
      todo: "systemctl daemon-reload",
    },
    break: (site) => site.dropIn("late", "[Service]\nNice=1\n", false),
    mend: (site) => site.removeDropIn("late"),
  },
  {
    ...{ name: "the watchdog is off", check: "service.watchdog", problem: "off", todo: "WatchdogSec=" },
    break: async (site) => {
      site.dropIn("watchdog", "[Service]\nWatchdogSec=0\n");
      await site.restart();
    },
    mend: async (site) => {
      site.removeDropIn("watchdog");
      await site.restart();
    },
  },
  {
    ...{ name: "the daemon hangs", check: "service.daemon", problem: "hangs", todo: "systemctl restart holdfast" },
    break: (site) => void site.machine.run("kill", "-STOP", site.machine.property(UNIT, "MainPID")),
    mend: async (site) => {
      site.machine.try("kill", "-CONT", site.machine.property(UNIT, "MainPID"));
      await site.connected();
    },
  },
  {
    ...{
      name: "the service ended with 78",
      check: "service.state",
      problem: "bad-configuration",
      todo: "holdfast check-config",
    },
    break: async (site) => {
      site.save(FILE);
      site.stop();
      site.sh(`echo 'agents: [' >> ${FILE}; mv ${DATA}/last-good /var/lib/last-good`);
      site.machine.try("systemctl", "start", UNIT);
      await becomes(() => site.machine.property(UNIT, "ActiveState") === "failed", 20_000);
    },
    mend: async (site) => {
      site.restore(FILE);
      site.sh(`mv /var/lib/last-good ${DATA}/last-good`);
      await site.start();
    },
  },
  {
    ...{
      name: "there is no last good file",
      check: "configuration.last-good",
      problem: "none",
      todo: "does not start",
    },
    break: (site) => {
      site.save(FILE);
      site.sh(`echo 'agents: [' >> ${FILE}; mv ${DATA}/last-good /var/lib/last-good`);
    },
    mend: (site) => {
      site.restore(FILE);
      site.sh(`mv /var/lib/last-good ${DATA}/last-good`);
    },
  },
  {
    ...{
      name: "the service starts over and over",
      check: "service.state",
      problem: "failed",
      todo: "journalctl -u holdfast",
    },
    break: async (site) => {
      site.dropIn("crash", "[Service]\nExecStart=\nExecStart=/bin/false\n");
      site.machine.try("systemctl", "restart", UNIT);
      await becomes(() => Number(site.machine.property(UNIT, "NRestarts")) > 0, 20_000);
    },
    mend: async (site) => {
      site.removeDropIn("crash");
      site.machine.try("systemctl", "stop", UNIT);
      await site.start();
    },
  },
  {
    ...{
      name: "the broker went away from the daemon",
      check: "service.bus",
      problem: "disconnected",
      todo: "journalctl -u holdfast",
    },
    break: async (site) => {
      await site.broker.stop();
      await becomes(
        () => !site.machine.try("holdfast", "status", "--json", "--config", FILE).out.includes('"connected":true'),
        30_000,
      );
    },
    mend: async (site) => {
      await site.broker.start();
      await site.connected();
    },
  },
];
