/**
 * The rows of the tensor table: which are shown, and in which order.
 *
 *     const table = new TensorRows(columns);
 *     table.filter({ text: 'kernel', dtype: '', role: '' });
 *     table.sort('size', -1);
 *     table.order[0];                       // row of the index
 */
/** @typedef {import('./session.js').Columns} Columns */
/** @typedef {{ text: string, dtype: string, role: string }} Filter  dtype and role: '' for any */
/** @typedef {'name' | 'dtype' | 'shape' | 'size' | 'role' | 'file'} SortKey */

export class TensorRows {
  /** @param {Columns} columns */
  constructor(columns) {
    this.columns = columns;
    /** Rows shown, in order. */
    this.order = Uint32Array.from({ length: columns.count }, (_, i) => i);
    /** @type {{ key: SortKey, direction: 1 | -1 }} */
    this.sorted = { key: 'name', direction: 1 };
  }

  /** @param {number} row */
  shapeOf(row) {
    const { shape, starts } = this.columns;
    return shape.subarray(starts[row], starts[row + 1]);
  }

  /** The name that a row has in each namespace. @param {number} row */
  namesOf(row) {
    const names = [];
    for (const { component, system, tensors, names: own } of this.columns.namespaces) {
      let low = 0;
      let high = tensors.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (tensors[middle] < row) low = middle + 1;
        else high = middle;
      }
      if (tensors[low] === row) names.push({ component, system, name: own[low] });
    }
    return names;
  }

  /** @param {number} row @returns {[string, string][]} */
  attributesOf(row) {
    const attribute = this.columns.attributes.find(({ tensor }) => tensor === row);
    return Object.entries(attribute?.values ?? {});
  }

  /** Rows that a text is in a name of. @param {string} text in lower case */
  matches(text) {
    const { count, names, namespaces } = this.columns;
    const hits = new Uint8Array(count);
    names.forEach((name, row) => { if (name.toLowerCase().includes(text)) hits[row] = 1; });
    for (const { tensors, names: own } of namespaces) {
      own.forEach((name, i) => { if (!hits[tensors[i]] && name.toLowerCase().includes(text)) hits[tensors[i]] = 1; });
    }
    return hits;
  }

  /** @param {Filter} filter */
  filter({ text, dtype, role }) {
    const { count, dtypes, roles } = this.columns;
    const hits = text ? this.matches(text.toLowerCase()) : null;
    const rows = [];
    for (let row = 0; row < count; row++) {
      if (hits && !hits[row]) continue;
      if (dtype && dtypes[this.columns.dtype[row]] !== dtype) continue;
      if (role && roles[this.columns.role[row]] !== role) continue;
      rows.push(row);
    }
    this.order = Uint32Array.from(rows);
    this.sort(this.sorted.key, this.sorted.direction);
  }

  /** @param {SortKey} key @returns {(a: number, b: number) => number} */
  comparison(key) {
    const { dtype, role, length, file, rank } = this.columns;
    switch (key) {
      case 'dtype': return (a, b) => dtype[a] - dtype[b];
      case 'role': return (a, b) => role[a] - role[b];
      case 'size': return (a, b) => length[a] - length[b];
      case 'file': return (a, b) => file[a] - file[b] || this.columns.offset[a] - this.columns.offset[b];
      case 'shape': return (a, b) => rank[a] - rank[b] || this.compareShapes(a, b);
      default: return () => 0;
    }
  }

  /** @param {number} a @param {number} b rows of one rank */
  compareShapes(a, b) {
    const x = this.shapeOf(a);
    const y = this.shapeOf(b);
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] - y[i];
    return 0;
  }

  /** Rows of the index are ascending by name, so the number of a row stands for its name. @param {SortKey} key @param {1 | -1} direction */
  sort(key, direction) {
    this.sorted = { key, direction };
    const compare = this.comparison(key);
    this.order.sort((a, b) => direction * compare(a, b) || (key === 'name' ? direction : 1) * (a - b));
  }
}
