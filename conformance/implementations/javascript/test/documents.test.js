/** JSON, MessagePack, paths, dtypes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32, crc32c } from '../src/checksums.js';
import { bitsOf, bytesOf, elementsOf, splitStrings } from '../src/dtypes.js';
import { Report } from '../src/findings.js';
import { canonicalJson, parseJson } from '../src/json.js';
import { decodeMsgpack, encodeMsgpack } from '../src/msgpack.js';
import { checkCollisions, checkPath, fold } from '../src/paths.js';
import { compareText, encodeUtf8, fromHex, show } from '../src/text.js';

/** @param {Uint8Array | string} input */
function json(input) {
  const report = new Report();
  parseJson(typeof input === 'string' ? encodeUtf8(input) : input, 'x', report);
  return report.findings.map(({ rule }) => rule).join(' ');
}

/** @param {string} hex */
function msgpack(hex) {
  const report = new Report();
  decodeMsgpack(fromHex(hex.replaceAll(' ', '')), 'x', report);
  return report.findings.map(({ rule }) => rule).join(' ');
}

test('JSON', () => {
  for (const [text, rules] of [
    ['{"a":1,"b":[true,null,"x"]}', ''], ['{"a":0.1,"b":1e+21,"c":-9007199254740991}', ''],
    ['{"a":1,"a":1}', 'JSN-02'], ['{"a":1,"\\u0061":1}', 'JSN-02'], ['{"a":NaN}', 'JSN-03'], ['{"a":-Infinity}', 'JSN-03'],
    ['['.repeat(64) + ']'.repeat(64), ''], ['['.repeat(65) + ']'.repeat(65), 'JSN-04'],
    ['[9007199254740992]', 'JSN-05'], ['[1e400]', 'JSN-05'], ['["\\ud800"]', 'JSN-06'], ['{"\\udc00":1}', 'JSN-06'],
    ['{"b":1,"a":1}', 'JSN-07'], ['[1.0]', 'JSN-07'], ['[-0]', 'JSN-07'], ['[1e20]', 'JSN-07'], ['["\\u0061"]', 'JSN-07'], [' 1', 'JSN-07'],
    ['', 'JSN-08'], ['{}{}', 'JSN-08'], ['[01]', 'JSN-08'], ['["\t"]', 'JSN-08'], ['[1,]', 'JSN-08'], ["{'a':1}", 'JSN-08'],
    ['\ufeff1', 'JSN-01'], ['{"__proto__":{"a":1}}', ''], ['{"\u{1f600}":1,"\ufb33":2}', ''],
  ]) assert.equal(json(text), rules, text);
  assert.equal(json(fromHex('22ff22')), 'JSN-01');
  assert.equal(json(fromHex('22eda08022')), 'JSN-01 JSN-06');
  assert.equal(canonicalJson(/** @type {any} */ (JSON.parse('{"\\u20ac":"\\u0008","1":[1E30,4.50,2e-3]}'))), '{"1":[1e+30,4.5,0.002],"€":"\\b"}');
});

test('MessagePack', () => {
  for (const [hex, rules] of [
    ['80', ''], ['81 a1 61 01', ''], ['81 a1 61 cc 01', 'MSG-01'], ['81 a1 61 cc 80', ''], ['80 00', 'MSG-01'],
    ['82 a1 62 01 a1 61 01', 'MSG-01'], ['82 a1 61 01 a1 61 01', 'MSG-01'], ['90', 'MSG-02'], ['81 01 01', 'MSG-02'],
    ['81 a1 61 c0', 'MSG-02'], ['81 a1 61 ff', 'MSG-02'], ['81 a1 61 d0 01', 'MSG-02'], ['81 a1 61 c1', 'MSG-04'],
    ['81 a1 61 c4 05 00', 'MSG-03'], ['81 a1 61 dd ff ff ff ff', 'MSG-03'], ['df ff ff ff ff', 'MSG-03'],
    ['81 a1 61 a1 ff', 'MSG-04'], ['', 'MSG-04'], ['81 a1 61 cd 01', 'MSG-04'], ['81 d9 01 61 01', 'MSG-01'],
    [`81 a1 61 ${'91'.repeat(14)} 90`, ''], [`81 a1 61 ${'91'.repeat(15)} 90`, 'MSG-03'],
    ['81 a1 61 cf 00 00 00 01 00 00 00 00', ''], ['81 a1 61 cf 00 00 00 00 ff ff ff ff', 'MSG-01'],
  ]) assert.equal(msgpack(hex), rules, hex);
  assert.equal(encodeMsgpack({ a: 'y'.repeat(5000), b: new Uint8Array(70000) }).length, 1 + 2 + 3 + 5000 + 2 + 5 + 70000);
  const value = { b: ['x'.repeat(40), 2 ** 40, new Uint8Array(300)], a: { '\u{1f600}': 1, '\uffff': 2 } };
  const report = new Report();
  assert.deepEqual(JSON.stringify(decodeMsgpack(encodeMsgpack(value), 'x', report)), JSON.stringify({ a: { '\uffff': 2, '\u{1f600}': 1 }, b: value.b }));
  assert.deepEqual(report.findings, []);
});

describe('paths', () => {
  test('one', () => {
    const rules = (/** @type {string} */ path) => {
      const report = new Report();
      checkPath(path, 'x', report);
      return report.findings.map(({ rule }) => rule).join(' ');
    };
    for (const [path, expected] of [
      ['a/b', ''], ['', 'PTH-01'], ['/a', 'PTH-01'], ['a/../b', 'PTH-01'], ['a:b', 'PTH-02'], ['a\u0085', 'PTH-02'],
      ['a./b', 'PTH-03'], ['nul .txt', 'PTH-03'], ['COM¹', 'PTH-03'], ['com10', ''], ['console', ''], ['e\u0301', 'PTH-04'],
      ['é'.repeat(512), ''], ['é'.repeat(513), 'PTH-01'],
    ]) assert.equal(rules(path), expected, path);
  });
  test('together', () => {
    assert.equal(fold('Straße'), fold('STRASSE'));
    assert.equal(fold('ΣΑΣ'), fold('σας'));
    const collide = (/** @type {string[]} */ ...paths) => {
      const report = new Report();
      checkCollisions(paths.map((path) => ({ path, place: path })), report);
      return report.has('PTH-05');
    };
    assert.ok(collide('a', 'A'));
    assert.ok(collide('a', 'A/b'));
    assert.ok(!collide('A/x', 'a/y'));
    assert.ok(!collide('a', 'ab', 'a.b'));
    assert.ok(collide('Manifest.json'));
    assert.ok(collide('manifest.json/a'));
  });
});

test('text', () => {
  assert.ok(compareText('\uffff', '\u{10000}') < 0);
  assert.ok(compareText('a', 'ab') < 0);
  assert.equal(show('\u001b[31m\u009b\ud800'), '\\u001b[31m\\u009b\\ud800');
});

test('dtypes', () => {
  assert.equal(bytesOf(3, /** @type {number} */ (bitsOf('float6_e2m3fn_packed'))), 3);
  assert.equal(bitsOf('bytes9999999'), 79999992);
  for (const name of ['bytes0', 'bytes01', 'bytes10000000', 'float128', 'toString']) assert.equal(bitsOf(name), undefined, name);
  assert.equal(elementsOf([2 ** 40, 2 ** 40]), Infinity);
  assert.equal(elementsOf([2 ** 63, 0, 2 ** 63]), 0);
  assert.equal(crc32c(encodeUtf8('123456789')), 0xe3069283);
  assert.equal(crc32(encodeUtf8('123456789')), 0xcbf43926);
  const strings = splitStrings(fromHex('0200031b428bca6869616263'), 3);
  assert.deepEqual('elements' in strings && strings.elements.map((b) => new TextDecoder().decode(b)), ['hi', '', 'abc']);
  assert.ok('elements' in splitStrings(fromHex('d8ea82a2'), 0));
  assert.ok('error' in splitStrings(fromHex('d8ea82a200'), 0));
  assert.ok('error' in splitStrings(fromHex(`${'ff'.repeat(10)}01d8ea82a2`), 1));
});
