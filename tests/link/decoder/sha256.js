// SHA-256 as FIPS 180-4 defines it, for engines that have no crypto of their own. Not for secrets beyond test keys:
// nothing here is made to take the same time whatever it hashes.
"use strict";

(function (link) {
    const primes = [];
    for (let n = 2; primes.length < 64; n++) {
        if (primes.every((p) => n % p !== 0)) primes.push(n);
    }
    // FIPS 180-4, 4.2.2 and 5.3.3: the first 32 bits of the fractional parts of the primes' roots.
    const fraction = (x) => Math.floor((x - Math.floor(x)) * 4294967296) | 0;
    const K = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
    const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
    const W = new Int32Array(64);

    const rotr = (x, n) => (x >>> n) | (x << (32 - n));

    function pad(bytes) {
        const padded = new Uint8Array(((bytes.length + 8 + 64) >> 6) << 6);
        padded.set(bytes);
        padded[bytes.length] = 0x80;
        const view = new DataView(padded.buffer);
        view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000));
        view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
        return view;
    }

    function schedule(view, at) {
        for (let t = 0; t < 16; t++) W[t] = view.getInt32(at + 4 * t);
        for (let t = 16; t < 64; t++) {
            const x = W[t - 2];
            const y = W[t - 15];
            const s1 = rotr(x, 17) ^ rotr(x, 19) ^ (x >>> 10);
            const s0 = rotr(y, 7) ^ rotr(y, 18) ^ (y >>> 3);
            W[t] = s1 + W[t - 7] + s0 + W[t - 16];
        }
    }

    function compress(H) {
        let [a, b, c, d, e, f, g, h] = H;
        for (let t = 0; t < 64; t++) {
            const S1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
            const T1 = (h + S1 + ((e & f) ^ (~e & g)) + K[t] + W[t]) | 0;
            const S0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
            const T2 = (S0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
            h = g;
            g = f;
            f = e;
            e = (d + T1) | 0;
            d = c;
            c = b;
            b = a;
            a = (T1 + T2) | 0;
        }
        [a, b, c, d, e, f, g, h].forEach((x, i) => (H[i] += x));
    }

    // 32 bytes of an array of bytes.
    link.sha256 = function (bytes) {
        const view = pad(bytes);
        const H = START.slice();
        for (let at = 0; at < view.byteLength; at += 64) {
            schedule(view, at);
            compress(H);
        }
        const digest = new DataView(new ArrayBuffer(32));
        H.forEach((x, i) => digest.setInt32(4 * i, x));
        return new Uint8Array(digest.buffer);
    };
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
