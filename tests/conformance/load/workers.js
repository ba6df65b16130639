// Workers of Node.js that add to one shared buffer.
// SPDX-License-Identifier: GPL-2.0-or-later
const { Worker, isMainThread, workerData } = require('worker_threads');
if (isMainThread) {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    let running = 4;
    for (let i = 1; i <= 4; i++) {
        new Worker(__filename, { workerData: { shared, i } }).on('exit', (status) => {
            if (status !== 0) process.exitCode = 1;
            if (--running === 0) console.log(shared[0]);
        });
    }
} else {
    for (let n = 0; n < 10000; n++) Atomics.add(workerData.shared, 0, workerData.i);
}
