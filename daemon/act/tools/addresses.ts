import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Addresses that no public service has (IANA's registries of special-purpose addresses, and multicast). */
const NOT_PUBLIC_V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

/** Within what is public of IPv6 (2000::/3): addresses that lead to others, or nowhere. */
const NOT_PUBLIC_V6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const privateV4 = listOf(NOT_PUBLIC_V4, "ipv4");
const privateV6 = listOf(NOT_PUBLIC_V6, "ipv6");
const publicV6 = listOf([["2000::", 3]], "ipv6");
const nat64 = listOf([["64:ff9b::", 96]], "ipv6");

/** Whether an address is of this machine, of a private network, or otherwise none of the public internet. */
export function isPrivateAddress(address: string): boolean {
  if (isIPv4(address)) return privateV4.check(address, "ipv4");
  if (!isIPv6(address)) return true;
  // The zone says on which link an address lies: only addresses of a link have one.
  if (address.includes("%")) return true;
  // Networks with IPv6 alone reach IPv4 by this prefix.
  if (nat64.check(address, "ipv6")) return isPrivateAddress(lastFourBytes(address));
  return !publicV6.check(address, "ipv6") || privateV6.check(address, "ipv6");
}

function listOf(ranges: readonly (readonly [string, number])[], family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family);
  return list;
}

function lastFourBytes(address: string): string {
  // The URL parser writes every form of an IPv6 address the same way.
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const tail = (groups.at(-1) ?? "").split(":").slice(-2);
  const [high, low] = [tail.at(-2) ?? "0", tail.at(-1) ?? "0"].map((group) => Number.parseInt(group || "0", 16));
  const value = [(high ?? 0) >> 8, (high ?? 0) & 255, (low ?? 0) >> 8, (low ?? 0) & 255];
  return value.join(".");
}
