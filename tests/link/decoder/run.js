// The decoder against every vector, by hand: `node tests/link/decoder/run.js`. Exits 1 on a difference.
"use strict";

const fs = require("fs");
const path = require("path");
const vm = require("vm");

for (const name of ["sha256", "wire", "core", "microcontroller", "host", "operator", "judge"]) {
    const file = path.join(__dirname, `${name}.js`);
    vm.runInThisContext(fs.readFileSync(file, "utf8"), { filename: file });
}

const folder = path.join(__dirname, "..", "..", "vectors", "link");
let total = 0;
let agreed = 0;
for (const name of ["derive", "frames", "session"]) {
    const file = JSON.parse(fs.readFileSync(path.join(folder, `${name}.json`), "ascii"));
    for (const list of globalThis.edgeguardLink.lists(file)) {
        file[list].forEach((vector, index) => {
            const differences = globalThis.edgeguardLink.judge(file, list, index);
            total += 1;
            agreed += differences.length === 0 ? 1 : 0;
            differences.forEach((text) => console.log(`${name}.json ${list} ${index} "${vector.name}": ${text}`));
        });
    }
}
console.log(`${agreed}/${total} vectors agreed`);
process.exitCode = agreed === total ? 0 : 1;
