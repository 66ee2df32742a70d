// Drives the npm package smartmeter-obis 4.0.0, unchanged, against a meter.
//
// Arguments: the package's folder, then a JSON object of its own options (serial port, address,
// wake-up characters). Prints a JSON object: each measurement of one readout, or the error.
'use strict';

const obis = require(process.argv[2]);

const options = Object.assign(
    {
        protocol: 'D0Protocol',
        transport: 'SerialRequestResponseTransport',
        transportSerialMessageTimeout: 20000,
        requestInterval: -1, // one readout only
        obisFallbackMedium: 1,
    },
    JSON.parse(process.argv[3])
);

let transport = null;

function heard(error, measurements) {
    const said = {};
    if (error) {
        said.error = String(error.message || error);
    } else {
        said.manufacturer = transport.protocol.deviceManufacturer;
        said.identification = transport.protocol.deviceIdentification;
        said.mode = transport.protocol.commMode;
        said.baud = transport.protocol.commBaudrateChangeover;
        said.measurements = {};
        for (const id of Object.keys(measurements)) {
            said.measurements[id] = {
                raw: measurements[id].getRawValue(),
                value: measurements[id].valueToString(),
                name: obis.ObisNames.resolveObisName(measurements[id], 'en').obisName,
            };
        }
    }
    process.stdout.write(JSON.stringify(said) + '\n');
    if (error) {
        transport.stop();
    }
}

transport = obis.init(options, heard);
transport.process();
