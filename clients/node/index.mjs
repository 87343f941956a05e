import mooring from './index.js';

const { backoff, keepAliveAdvice } = mooring;

export { backoff, keepAliveAdvice, mooring };
export default mooring;
