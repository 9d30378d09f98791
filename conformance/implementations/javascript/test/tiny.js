/** The bundle of the introduction (section 0.4): its hexadecimal bytes as the text gives them. */
const hex = (/** @type {string} */ text) =>
  Uint8Array.from(text.replace(/;.*$/gm, '').trim().split(/\s+/), (byte) => parseInt(byte, 16));

export const SAFETENSORS = hex(`
a8 00 00 00 00 00 00 00                         ; length of the header: 168
7b 22 5f 5f 6d 65 74 61 64 61 74 61 5f 5f 22 3a ; header, JSON
7b 22 66 6f 72 6d 61 74 22 3a 22 6e 70 22 7d 2c
22 64 65 6e 73 65 2f 62 69 61 73 22 3a 7b 22 64
74 79 70 65 22 3a 22 46 33 32 22 2c 22 73 68 61
70 65 22 3a 5b 32 5d 2c 22 64 61 74 61 5f 6f 66
66 73 65 74 73 22 3a 5b 30 2c 38 5d 7d 2c 22 64
65 6e 73 65 2f 6b 65 72 6e 65 6c 22 3a 7b 22 64
74 79 70 65 22 3a 22 46 33 32 22 2c 22 73 68 61
70 65 22 3a 5b 32 2c 32 5d 2c 22 64 61 74 61 5f
6f 66 66 73 65 74 73 22 3a 5b 38 2c 32 34 5d 7d
7d 20 20 20 20 20 20 20
00 00 00 3f 00 00 00 bf
00 00 80 3f 00 00 00 40 00 00 40 40 00 00 80 40`);

export const INDEX = hex(`
8f aa 61 74 74 72 69 62 75 74 65 73 90 a5 63 6f 75 6e 74 02 a6 64 69 67 65 73 74
c4 40 de ea 3b 24 ad d6 6f 9c 40 1d 38 a7 58 eb
5c b6 64 db 05 96 a3 11 3b 5c ea f8 c5 e7 74 fa
a3 21 ad 73 b9 ac d6 e4 a7 4b 2f 5b b5 38 66 58
ce 3b b1 46 cd 04 0a 18 67 64 6a b3 b9 73 fb 66
32 b1
a5 64 74 79 70 65 c4 02 00 00 a6 64 74 79 70 65 73 91 a7 66 6c 6f 61 74 33 32
a4 66 69 6c 65 c4 08 00 00 00 00 00 00 00 00
a5 66 69 6c 65 73 91 af 6e 65 74 2e 73 61 66 65 74 65 6e 73 6f 72 73
a6 6c 65 6e 67 74 68 c4 10 08 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00
a5 6e 61 6d 65 73 92 aa 64 65 6e 73 65 2f 62 69 61 73 ac 64 65 6e 73 65 2f 6b 65 72 6e 65 6c
aa 6e 61 6d 65 73 70 61 63 65 73 91 84
a9 63 6f 6d 70 6f 6e 65 6e 74 af 6e 65 74 2e 73 61 66 65 74 65 6e 73 6f 72 73
a5 6e 61 6d 65 73 92 aa 64 65 6e 73 65 2f 62 69 61 73 ac 64 65 6e 73 65 2f 6b 65 72 6e 65 6c
a6 73 79 73 74 65 6d ab 73 61 66 65 74 65 6e 73 6f 72 73
a7 74 65 6e 73 6f 72 73 c4 08 00 00 00 00 01 00 00 00
a6 6f 66 66 73 65 74 c4 10 b0 00 00 00 00 00 00 00 b8 00 00 00 00 00 00 00
a4 72 61 6e 6b c4 02 01 02 a4 72 6f 6c 65 c4 02 00 00 a5 72 6f 6c 65 73 91 a5 6f 74 68 65 72
a5 73 68 61 70 65
c4 18 02 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00`);

export const DIGEST = 'sha256:39e96fff1a28bb8233146a6af5d86ec1d57b1cf411f4a125a7a083b4eb9526fe';

export const LOCAL_HEADER = hex(`
50 4b 03 04 2d 00 00 08 00 00 00 00 21 00 93 05 a2 ad ca 02 00 00 ca 02 00 00 0d 00 15 00
6d 61 6e 69 66 65 73 74 2e 6a 73 6f 6e 4d 42 11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00`);

export const END_RECORD = hex('50 4b 05 06 00 00 00 00 03 00 03 00 b5 00 00 00 08 06 00 00 00 00');

const names = { 'dense/bias': 'dense/bias', 'dense/kernel': 'dense/kernel' };
/** The spec of the bundle, for a Writer; order of everything reversed (WRT-01). */
export const SPEC = {
  files: [{ path: 'net.safetensors', mediaType: 'application/vnd.safetensors' }],
  rows: [
    { name: 'dense/kernel', dtype: 'float32', shape: [2, 2], file: 'net.safetensors', offset: 184 },
    { name: 'dense/bias', dtype: 'float32', shape: [2], file: 'net.safetensors', offset: 176 },
  ],
  namespaces: [{ component: 'net.safetensors', system: 'safetensors', names }],
  components: [{
    id: 'net.safetensors', kind: 'safetensors', files: ['net.safetensors'],
    properties: { metadata: { format: 'np' } },
  }],
};
