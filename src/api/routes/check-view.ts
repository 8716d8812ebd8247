/** What a check found, as it goes over the wire. */
import { severityOf, type Finding } from '../../disk/findings.js';
import type { CheckReport, DiskCheck } from '../../volume/check-report.js';
import type { CheckRequest, CheckView, FindingView } from '../check-types.js';
import { defined } from './views.js';

export function diskCheck({ read_data: readData, repair }: CheckRequest): DiskCheck {
  return defined({ readData, repair });
}

export function checkView(report: CheckReport): CheckView {
  const { name, kind, clean, keyUnusable, data } = report;
  return {
    name,
    kind,
    clean,
    layers: report.layers.map(({ id, container, sizeBytes, visibleBytes, key, findings }) => ({
      id,
      container,
      size: sizeBytes,
      visible: visibleBytes,
      key,
      findings,
    })),
    findings: report.findings.map(findingView),
    remarks: [...report.remarks],
    ...defined({
      key_unusable: keyUnusable,
      data: data && { read: data.readBytes, failed: data.failedBytes },
    }),
  };
}

function findingView(finding: Finding): FindingView {
  const { kind, message, cure, layerId, container, range, repaired = false } = finding;
  return {
    kind,
    severity: severityOf(finding),
    message,
    cure,
    repaired,
    ...defined({
      layer: layerId,
      container,
      offset: range?.offsetBytes,
      length: range?.lengthBytes,
    }),
  };
}
