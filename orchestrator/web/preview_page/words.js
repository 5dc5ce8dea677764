// The preview's own words, in the browser's language.
const all = {
  en: {
    find: 'Find a message or a journey', connecting: 'Connecting…', down: 'Not connected. Trying again…', up: '',
    messages: 'Messages', journeys: 'Journeys', sent_by: 'Sent by', sends: 'Sends', nowhere: 'No journey sends it.',
    choose: 'Choose a message or a journey. What you save shows here at once.',
    right: 'Nothing is wrong with this project.', wrong: (errors, warnings) => `${errors} errors, ${warnings} warnings`,
    every: 'every locale', usual: 'Usual values', long: 'Long values', lacking: 'Nothing known of them',
    sms: 'SMS', mms: 'MMS', wap_push: 'WAP push', chat: 'Chat', desk: 'Read by a colleague', small: 'Small phone', picture: 'Picture',
    parts: (n) => (n === 1 ? '1 part' : `${n} parts`), part: (n, of) => `part ${n} of ${of}`, left: (n) => `${n} left`,
    because: (letters, more) => `UCS-2 because of ${letters}${more ? ` and ${more} more` : ''}`,
    instead: (swaps, fewer, now) => `Write ${swaps}${fewer < now ? `: ${fewer} instead of ${now} parts` : ''}`,
    swap: (one, other) => `${one || 'nothing'} for ${other}`,
    free: 'free', octets: (n) => (n < 1024 ? `${n} octets` : `${(n / 1024).toFixed(1)} KiB`), carried: (n) => `${n} SMS`,
    below: (n) => `▼ ${n} more`, not_sent: 'Not sent', stale: 'As it was before the mistake', says: (reply) => `says ${reply}`,
    broken: 'It cannot be read just now.', action: (what) => `The phone is told: ${what}`,
  },
  zh: {
    find: '查找消息或旅程', connecting: '连接中…', down: '已断开，正在重连…', up: '',
    messages: '消息', journeys: '旅程', sent_by: '发送于', sends: '发送', nowhere: '没有旅程发送它。',
    choose: '请选择一条消息或一个旅程。保存文件后，这里立即更新。',
    right: '这个项目没有问题。', wrong: (errors, warnings) => `${errors} 个错误，${warnings} 个警告`,
    every: '所有语言', usual: '常见取值', long: '较长取值', lacking: '资料全无',
    sms: '短信', mms: '彩信', wap_push: 'WAP 推送', chat: '聊天', desk: '同事读给用户', small: '小屏手机', picture: '图片',
    parts: (n) => `${n} 条`, part: (n, of) => `第 ${n} 条，共 ${of} 条`, left: (n) => `剩 ${n} 字`,
    because: (letters, more) => `UCS-2，因为有 ${letters}${more ? ` 等 ${more} 个以上的字符` : ''}`,
    instead: (swaps, fewer, now) => `改写 ${swaps}${fewer < now ? `：${now} 条变 ${fewer} 条` : ''}`,
    swap: (one, other) => `${other} 为 ${one || '空'}`,
    free: '免费', octets: (n) => (n < 1024 ? `${n} 字节` : `${(n / 1024).toFixed(1)} KiB`), carried: (n) => `${n} 条短信`,
    below: (n) => `▼ 还有 ${n} 行`, not_sent: '不会发送', stale: '出错之前的样子', says: (reply) => `回复 ${reply}`,
    broken: '目前无法读取。', action: (what) => `手机动作：${what}`,
  },
};

export const language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
export const words = all[language];
