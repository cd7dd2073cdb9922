import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { childPath } from "../../daemon/children.ts";
import { holdfast } from "../../scripts/trial/daemon.ts";
import { ApprovalSite, keys, people } from "../support/approval-site.ts";
import { until } from "../support/bus.ts";
import { describeWithMosquitto } from "../support/mosquitto.ts";

const mainPath = childPath("daemon/main");
const isRoot = process.getuid?.() === 0;
const STRANGER = 20_001;
const NOT_YET_SECOND = { accepted: true, state: "awaitingApproval", given: 1, needs: 2 };

let open: ApprovalSite | undefined;
afterEach(async () => {
  await open?.site.close();
  open = undefined;
});

async function site(): Promise<ApprovalSite> {
  open = await ApprovalSite.open();
  return open;
}

const isRefused = { accepted: false };

describeWithMosquitto("an answer that does not count", () => {
  test("is refused and recorded, whoever gives it, and nothing is sent", async () => {
    const here = await site();
    const [one, other] = [await here.propose("open", "v1"), await here.propose("open", "v2")];
    const mine = await here.propose("open", "v3", "maria");
    const refused = (reason: string) => expect.objectContaining({ detail: expect.objectContaining({ reason }) });
    // Their own: as a user of this machine, by token and by signature.
    expect(await here.approve(mine)).toMatchObject(isRefused);
    expect(await here.approve(mine, "maria")).toMatchObject(isRefused);
    expect(await here.bring(mine, "maria", await here.signed(mine, "maria", keys.maria.privateKey))).toMatchObject(
      isRefused,
    );
    expect(await here.refusals(mine, 3)).toEqual(Array(3).fill("maria: nobody approves what they proposed"));
    // By somebody who may not, and signed for another proposal, with another key, for a no, or for another person.
    await expect(here.approve(one, "otto")).rejects.toEqual(refused("role"));
    const forOther = await here.signed(one, "jan", keys.jan.privateKey, { of: other });
    await expect(here.bring(one, "jan", forOther)).rejects.toEqual(refused("signature"));
    await expect(here.bring(one, "jan", await here.signed(one, "jan", keys.mallory.privateKey))).rejects.toEqual(
      refused("signature"),
    );
    const aNo = await here.signed(one, "jan", keys.jan.privateKey, { decision: "rejected" });
    await expect(here.bring(one, "jan", aNo)).rejects.toEqual(refused("signature"));
    await expect(here.bring(one, "maria", await here.signed(one, "jan", keys.jan.privateKey))).rejects.toEqual(
      refused("signature"),
    );
    await expect(here.bring(one, "nobody", "AAAA")).rejects.toEqual(refused("signature"));
    expect(await here.refusals(one, 6)).toEqual([
      "otto: role",
      ...Array(3).fill("jan: signature"),
      "maria: signature",
      "nobody: signature",
    ]);
    // For something that is not there, and after its time.
    expect(await here.approve("01993a0e-5b1c-7a54-9d5e-0f3c2b1a4d5e")).toMatchObject(isRefused);
    const late = await here.propose("hasty", "v4");
    expect(await here.site.end(late)).toBe("denied! approvalExpired");
    expect(await here.approve(late)).toMatchObject({ ...isRefused, reason: "it is decided already" });
    expect(here.approvals(late).map(({ decision }) => decision)).toEqual(["expired", "refused"]);
    expect(await here.effects()).toEqual([]);
  });

  test("counts once: a second yes to what is done, and the second of two people by the same one", async () => {
    const here = await site();
    const one = await here.propose("open", "v1");
    const signature = await here.signed(one, "jan", keys.jan.privateKey);
    expect(await here.bring(one, "jan", signature)).toMatchObject({ accepted: true, state: "intended" });
    expect(await here.site.end(one)).toBe("acknowledged!");
    expect(await here.approve(one, "ines")).toMatchObject(isRefused);
    await expect(here.bring(one, "jan", signature)).rejects.toThrow();
    expect(await here.refusals(one, 2)).toEqual(["ines: it is decided already", "jan: notOpen"]);

    const dump = await here.propose("dump", "v2");
    expect(await here.approve(dump)).toMatchObject(NOT_YET_SECOND);
    expect(await here.approve(dump)).toMatchObject(isRefused);
    expect(await here.approve(dump, "maria")).toMatchObject(isRefused);
    expect(await here.bring(dump, "maria", await here.signed(dump, "maria", keys.maria.privateKey))).toMatchObject(
      isRefused,
    );
    expect(await here.refusals(dump, 3)).toEqual(
      Array(3).fill("maria: maria has said yes already: another person has to"),
    );
    expect(await here.effects()).toEqual(["open v1"]);
    expect(await here.approve(dump, "ines")).toMatchObject({ accepted: true, state: "intended", given: 2 });
    expect(await here.site.end(dump)).toBe("acknowledged!");
    expect(await here.effects()).toEqual(["open v1", "dump v2"]);
  });

  test("comes from somebody who was removed, or comes again after a restart", async () => {
    const here = await site();
    const [one, dump, done] = [
      await here.propose("open", "v1"),
      await here.propose("dump", "v2"),
      await here.propose("open", "v3"),
    ];
    expect(await here.approve(dump, "eve")).toMatchObject(NOT_YET_SECOND);
    const signature = await here.signed(done, "jan", keys.jan.privateKey);
    const forOne = await here.signed(one, "jan", keys.jan.privateKey);
    await here.bring(done, "jan", signature);
    expect(await here.site.end(done)).toBe("acknowledged!");
    await here.site.daemon.stop();
    const { eve: _e, jan: _j, ...left } = people;
    here.write(left);
    await here.site.start();
    await expect(here.approve(one, "eve")).rejects.toThrow();
    await expect(here.bring(one, "jan", forOne)).rejects.toThrow();
    // What eve said before she was removed does not count either.
    expect(await here.approve(dump, "ines")).toMatchObject(NOT_YET_SECOND);
    here.write(people);
    await here.site.daemon.kill();
    await here.site.start();
    await expect(here.bring(done, "jan", signature)).rejects.toThrow();
    expect(await here.refusals(one, 2)).toEqual([expect.stringMatching(/: token$/), "jan: signature"]);
    expect(await here.refusals(done, 1)).toEqual(["jan: notOpen"]);
    expect(await here.effects()).toEqual(["open v3"]);
  });

  test.runIf(isRoot)("comes from a user of this machine whom the file does not name", async () => {
    const here = await site();
    const one = await here.propose("open", "v1");
    chmodSync(here.site.folder, 0o755);
    chmodSync(here.site.data, 0o750);
    for (const path of [here.site.data, join(here.site.data, "control.sock")]) chownSync(path, 0, STRANGER);
    const as = ["--reuid", String(STRANGER), "--regid", String(STRANGER), "--clear-groups"];
    const done = spawnSync("setpriv", [...as, process.execPath, mainPath, "approve", one, "--data", here.site.data]);
    expect(done).toMatchObject({ status: 1 });
    expect(await here.refusals(one, 1)).toEqual([`user:${STRANGER}: unknown`]);
    expect(await here.effects()).toEqual([]);
  });
});

describeWithMosquitto("an action that people said yes to", () => {
  test("is signed far from the gateway, with openssl, and done once", async () => {
    const here = await site();
    const one = await here.propose("open", "v1");
    const [text, key] = [join(here.site.folder, "text"), join(here.site.folder, "jan.pem")];
    writeFileSync(key, keys.jan.privateKey.export({ format: "pem", type: "pkcs8" }));
    writeFileSync(text, holdfast(["approve", one, "--as", "jan", "--print-text", "--data", here.site.data]));
    const signature = execFileSync("openssl", ["pkeyutl", "-sign", "-rawin", "-in", text, "-inkey", key]);
    const given = [
      "approve",
      one,
      "--as",
      "jan",
      "--signature",
      signature.toString("base64"),
      "--data",
      here.site.data,
      "--json",
    ];
    expect(JSON.parse(holdfast(given))).toMatchObject({ accepted: true, state: "intended", given: 1, needs: 1 });
    expect(await here.site.end(one)).toBe("acknowledged!");
    expect(await here.effects()).toEqual(["open v1"]);
    expect(here.approvals(one)).toMatchObject([{ decision: "approved", by: "jan", signature: expect.any(String) }]);
  });

  test("needs its second yes over a restart too, and is not lost by a crash after the last one", async () => {
    const here = await site();
    const dump = await here.propose("dump", "v1");
    expect(await here.approve(dump)).toMatchObject(NOT_YET_SECOND);
    await here.site.daemon.kill();
    await here.site.start();
    expect(await here.approve(dump)).toMatchObject(isRefused);
    expect(await here.approve(dump, "ines")).toMatchObject({ accepted: true, state: "intended" });
    expect(await here.site.end(dump)).toBe("acknowledged!");
    const [once, again] = [await here.propose("open", "v2"), await here.propose("repeatable", "v3")];
    await here.site.daemon.kill();
    for (const [id, end] of [
      [once, "unknown! the daemon ended before it was known"],
      [again, "acknowledged!"],
    ] as const) {
      // The yes and the intent are on disk, and nothing has left.
      await here.site.start("act.leave");
      await expect(here.approve(id)).rejects.toThrow();
      await until("its end", () => here.site.daemon.child.signalCode === "SIGKILL");
      expect(await here.effects()).toEqual(["dump v1"]);
      await here.site.start();
      expect(await here.site.end(id)).toBe(end);
      await here.site.daemon.kill();
    }
    expect(await here.effects()).toEqual(["dump v1", "again v3"]);
  });

  test("is not done after its time, and not when what has changed meanwhile forbids it", async () => {
    const here = await site();
    const [stale, stopped, brief] = [
      await here.propose("fresh", "v1"),
      await here.propose("open", "v2"),
      await here.propose("brief", "v3"),
    ];
    const quick = await here.propose("fresh", "v4");
    expect(await here.approve(quick)).toMatchObject({ accepted: true, state: "intended" });
    expect(await here.site.end(quick)).toBe("acknowledged!");
    // The plant has it before the broker goes.
    expect(await here.effects()).toEqual(["open v4"]);
    await sleep(1600);
    expect(await here.approve(stale)).toMatchObject({ accepted: true, state: "denied", reason: "forbidden" });
    const { nonce } = (await here.ask("stop", { why: "smoke" })) as { nonce: string };
    expect(await here.approve(stopped)).toMatchObject({ accepted: true, state: "suppressed", reason: "latched" });
    await here.ask("release", { nonce });
    // Its time runs from the yes on; without a broker it can not leave.
    await here.site.broker.stop();
    await until("it to be noticed", () =>
      here.site.daemon.lines.some(({ msg }) => msg === "commands are not connected"),
    );
    expect(await here.approve(brief)).toMatchObject({ accepted: true, state: "intended" });
    expect(await here.site.end(brief)).toBe("expired! executeBefore: notConnected");
    await here.site.broker.start();
    await here.site.listen();
    const marker = await here.propose("open", "v5");
    await until(
      "the bus",
      () => here.site.daemon.lines.filter(({ msg }) => msg === "commands are connected").length > 1,
    );
    await here.approve(marker);
    expect(await here.site.end(marker)).toBe("acknowledged!");
    expect(await here.effects()).toEqual(["open v4", "open v5"]);
  });
});
